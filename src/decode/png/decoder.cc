#include "decode/png/decoder.h"

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>

#include "base/aligned_vector.h"
#include "decode/png/session.h"

namespace ringfeed::decode {
namespace {

/// Channels of a row as libpng delivers it here, in bytes per pixel.
std::size_t pixel_bytes(const PngHeader& header) {
  switch (header.color_type) {
    case PNG_COLOR_TYPE_GRAY: return header.bit_depth == 16 ? 2 : 1;
    case PNG_COLOR_TYPE_PALETTE: return 1;
    case PNG_COLOR_TYPE_GRAY_ALPHA: return 2;
    case PNG_COLOR_TYPE_RGB: return 3;
    default: return 4;
  }
}

/// zlib's window and state, and libpng's own.
constexpr std::size_t session_bytes = 96 << 10;

/// One row, or the whole image where it is interlaced.
std::size_t held_bytes(const PngHeader& header) {
  return header.width * pixel_bytes(header) * (header.interlaced ? header.height : 1);
}

/// libpng holds two raw rows of at most 8 bytes a pixel; besides them one converted row and what
/// decode() holds.
std::size_t row_memory(const PngHeader& header) {
  return held_bytes(header) + std::size_t{header.width} * (2 * 8 + 3);
}

void to_rgb(const PngHeader& header, const std::uint8_t* in, int pixels, std::uint8_t* rgb) {
  const std::size_t step = pixel_bytes(header);
  for (int i = 0; i < pixels; ++i, in += step, rgb += 3) {
    switch (header.color_type) {
      case PNG_COLOR_TYPE_GRAY:
      case PNG_COLOR_TYPE_GRAY_ALPHA:
        // Pillow's I;16 -> RGB clips: anything above 255 is white.
        std::memset(rgb,
                    header.bit_depth == 16 && header.color_type == PNG_COLOR_TYPE_GRAY
                        ? (in[0] == 0 ? in[1] : 255)
                        : in[0],
                    3);
        break;
      case PNG_COLOR_TYPE_PALETTE:
        std::memcpy(rgb, &header.palette[in[0] * std::size_t{3}], 3);
        break;
      default: std::memcpy(rgb, in, 3);
    }
  }
}

}  // namespace

tl::expected<PngHeader, Failure> PngDecoder::header(Bytes file, const DecodeLimits& limits) {
  auto header = read_png_header(file, limits.load_truncated);
  if (!header) return header;
  const std::uint64_t pixels = std::uint64_t{header->height} * header->width;
  if (pixels > limits.max_pixels) {
    return tl::unexpected(over_limit("PNG of " + std::to_string(pixels) + " pixels, more than " +
                                         std::to_string(limits.max_pixels),
                                     Option::max_pixels));
  }
  if (std::max(header->height, header->width) > max_side) {
    return tl::unexpected(Failure{false, "PNG with a side over " + std::to_string(max_side) +
                                             " pixels is not supported; resize or remove it"});
  }
  if (row_memory(*header) > limits.max_decoder_bytes) {
    return tl::unexpected(
        over_limit((header->interlaced ? "interlaced PNG of " : "PNG of ") +
                       std::to_string(pixels) + " pixels, which needs more than " +
                       std::to_string(limits.max_decoder_bytes) + " bytes to decode",
                   Option::max_decoder_bytes));
  }
  return header;
}

std::size_t PngDecoder::need(const PngHeader& header) noexcept {
  return row_memory(header) + session_bytes;
}

std::size_t PngDecoder::most_need(const DecodeLimits& limits) noexcept {
  return limits.max_decoder_bytes + session_bytes;  // header() refuses what takes more
}

tl::expected<void, Failure> PngDecoder::decode(Bytes file, RowSink& sink) {
  const auto header = PngDecoder::header(file, limits_);
  if (!header) return tl::unexpected(header.error());
  const auto height = static_cast<int>(header->height), width = static_cast<int>(header->width);
  const Region region = sink.begin(height, width);
  // Not kept: the next image may be a JPEG whose coefficients take all that this one was allowed.
  AlignedVector<std::uint8_t> rows(held_bytes(*header));
  const std::size_t row_bytes = header->width * pixel_bytes(*header);
  rows_pushed_ = 0;

  PngSession session(file, *header);
  const bool complete = run(session, *header, rows.data(), region, sink);
  if (!complete && !limits_.load_truncated) {
    return tl::unexpected(session.out_of_bytes && header->data_cut
                              ? truncated_file("PNG")
                              : broken_file("PNG", session.error));
  }
  if (region.width > 0 && rows_pushed_ < region.height) {
    // Under load_truncated Pillow leaves what it did not get at zero (interlaced: what no pass has
    // written).
    if (!complete && !header->interlaced) rows.assign(row_bytes, 0);
    while (rows_pushed_ < region.height) {
      const auto y = static_cast<std::size_t>(region.top + rows_pushed_);
      push(*header, rows.data() + (header->interlaced ? y * row_bytes : 0), region, sink);
    }
  }
  if (auto failure = check_png_end(file, session.chunk, *header, limits_.load_truncated)) {
    return tl::unexpected(std::move(*failure));
  }
  return {};
}

void PngDecoder::push(const PngHeader& header, const std::uint8_t* row, Region region,
                      RowSink& sink) {
  std::uint8_t* const rgb = rgb_.reserve(static_cast<std::size_t>(region.width) * 3);
  to_rgb(header, row + static_cast<std::size_t>(region.left) * pixel_bytes(header), region.width,
         rgb);
  sink.push_row(rgb);
  ++rows_pushed_;
}

/// Every call that may jump. False if rows are missing; the last few may be left to the caller to
/// push from `rows`. Nothing here has a destructor.
bool PngDecoder::run(PngSession& session, const PngHeader& header, std::uint8_t* rows,
                     Region region, RowSink& sink) {
  if (session.png == nullptr || session.info == nullptr) {
    session.error = "no memory";
    return false;
  }
  png_struct* const png = session.png;
  if (setjmp(png_jmpbuf(png))) return session.all_rows_read();
  png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
  png_set_user_limits(png, 0x7FFFFFFF, 0x7FFFFFFF);
  png_set_option(png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);  // as lenient as Pillow's zlib
  png_read_info(png, session.info);
  png_set_packing(png);
  if (header.color_type == PNG_COLOR_TYPE_GRAY && header.bit_depth < 8) {
    png_set_expand_gray_1_2_4_to_8(png);
  }
  if (header.color_type != PNG_COLOR_TYPE_GRAY) png_set_strip_16(png);
  const int passes = png_set_interlace_handling(png);
  png_read_update_info(png, session.info);

  const auto height = static_cast<int>(header.height);
  const std::size_t row_bytes = header.width * pixel_bytes(header);
  if (png_get_rowbytes(png, session.info) != row_bytes) png_error(png, "unexpected row size");
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < height; ++y) {
      std::uint8_t* const row =
          rows + (header.interlaced ? static_cast<std::size_t>(y) * row_bytes : 0);
      png_read_row(png, row, nullptr);
      // Decoded to the end even below the region: damage there is the file's too.
      if (pass == passes - 1 && y >= region.top && y < region.top + region.height &&
          region.width > 0) {
        push(header, row, region, sink);
      }
    }
  }
  return true;
}

}  // namespace ringfeed::decode
