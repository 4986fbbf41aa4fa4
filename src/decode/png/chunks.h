#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"

namespace ringfeed::decode {

/// A part of the image, in pixels.
struct PngFrame {
  std::uint32_t height = 0, width = 0, top = 0, left = 0;
};

/// What stands before a PNG's image data, and where that data is.
struct PngHeader {
  std::uint32_t height = 0, width = 0;
  int bit_depth = 0;
  int color_type = 0;
  bool interlaced = false;
  std::array<std::uint8_t, 3 * 256> palette{};  ///< entries the file lacks are black, as in Pillow
  std::size_t data = 0;                         ///< offset of the first IDAT chunk
  bool data_cut = false;                        ///< the last of them ends with the file

  // Of an animation, whose first frame, or the image beside it, is what is decoded.
  std::optional<std::uint32_t> frames;    ///< as acTL says
  std::optional<std::uint32_t> sequence;  ///< of the last fcTL or fdAT
  std::optional<PngFrame> first_frame;    ///< as the fcTL before the image data says
  bool animated() const noexcept { return frames && *frames + !first_frame > 1; }
};

/// Walks the chunks and refuses what Pillow's PngImagePlugin refuses before it decodes (PIL
/// 13.0.0): checksums count up to the first IDAT, and some ancillary chunks are parsed.
/// Not repeated: its limits on text and profiles, which it decompresses, and nobody does here.
tl::expected<PngHeader, Failure> read_png_header(Bytes file, bool load_truncated);

/// The content, as far as the file goes, of the IDAT chunk at `at`, which moves behind it; nothing
/// where another chunk stands or none. One by one and not as a list: 12 bytes make a chunk, and the
/// memory a file takes may not follow from how many it has.
std::optional<Bytes> next_png_data(Bytes file, std::size_t& at);

/// Whether the file is an image without animation whose data has right checksums and is followed by
/// IEND, as every writer leaves it: its zlib stream is then the one that was written.
bool png_is_sound(Bytes file, const PngHeader& header);

/// Pillow's verdict on what follows the IDAT chunk (its content given) that completed the image.
std::optional<Failure> check_png_end(Bytes file, Bytes last_data, PngHeader header,
                                     bool load_truncated);

}  // namespace ringfeed::decode
