#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tl/expected.hpp>
#include <vector>

#include "decode/failure.h"

namespace ringfeed::decode {

/// What stands before a PNG's image data, and where that data is.
struct PngHeader {
  std::uint32_t height = 0, width = 0;
  int bit_depth = 0;
  int color_type = 0;
  bool interlaced = false;
  std::array<std::uint8_t, 3 * 256> palette{};  ///< entries the file lacks are black, as in Pillow
  std::vector<std::span<const std::uint8_t>> data;  ///< the IDAT chunks' content, as far as it goes
  bool data_cut = false;                            ///< the last of them ends with the file
};

/// Walks the chunks and refuses what Pillow's PngImagePlugin refuses before it decodes (PIL
/// 13.0.0): checksums count up to the first IDAT, and some ancillary chunks are parsed.
/// Not repeated: limits on decompressed text, and the sequence numbers of animations.
tl::expected<PngHeader, Failure> read_png_header(std::span<const std::uint8_t> file,
                                                 bool load_truncated);

/// Pillow's verdict on what follows the IDAT chunk (its content given) that completed the image.
std::optional<Failure> check_png_end(std::span<const std::uint8_t> file,
                                     std::span<const std::uint8_t> last_data, bool load_truncated);

}  // namespace ringfeed::decode
