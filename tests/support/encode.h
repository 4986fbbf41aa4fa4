#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringfeed::testing {

using Octets = std::vector<std::uint8_t>;

/// How encode_jpeg writes; pixels are waves and noise from the seed, so that no two are alike.
struct JpegForm {
  int width = 64, height = 48;
  int components = 3;                ///< 1 grey, 3 YCbCr, 4 Adobe CMYK
  int horizontal = 2, vertical = 2;  ///< sampling factors of the first component
  bool rgb = false;                  ///< 3 components without colour transform
  bool progressive = false;
  bool arithmetic = false;
  bool interleaved = true;  ///< false: one scan a component
  int restart_interval = 0;
  int quality = 90;
  bool optimize = false;    ///< Huffman tables of its own
  int noise = 17;           ///< levels; 0: every pixel of a row is the same
  int flat_rows = 1 << 16;  ///< with noise = 0: of so many rows, the others are noise
  int quiet_rows = 0;       ///< the first so many are waves alone
  std::uint32_t seed = 1;
};
Octets encode_jpeg(const JpegForm& form);

/// `file`, of three scans of a component each, with one more of all components, `size` bytes long,
/// behind which stands a table of 255 codes of one bit. libjpeg never uses that.
Octets with_invalid_table(Octets file, std::size_t size);

struct PngForm {
  int width = 33, height = 21;
  int bit_depth = 8;
  int color_type = 2;  ///< as in the file: 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA
  bool interlaced = false;
  bool transparency = false;  ///< a tRNS chunk
  std::uint32_t seed = 1;
};
/// The file and the 8-bit RGB that Pillow makes of it.
struct EncodedPng {
  Octets file, rgb;
};
EncodedPng encode_png(const PngForm& form);

}  // namespace ringfeed::testing
