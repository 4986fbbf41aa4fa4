#include "decode/inspect.h"

#include <cstdint>
#include <limits>

#include "decode/file_format.h"
#include "decode/jpeg/decoder.h"
#include "decode/jpeg/markers.h"
#include "decode/png/decoder.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {
namespace {

std::string_view jpeg_mode(int components) {
  return components == 1 ? "L" : components == 3 ? "RGB" : "CMYK";
}

std::string_view png_mode(const PngHeader& header) {
  switch (header.color_type) {
    case 0: return header.bit_depth == 1 ? "1" : header.bit_depth == 16 ? "I;16" : "L";
    case 2: return "RGB";
    case 3: return "P";
    case 4: return header.bit_depth == 16 ? "RGBA" : "LA";
    default: return "RGBA";
  }
}

}  // namespace

tl::expected<Inspection, Failure> inspect(Bytes file) {
  const auto format = file_format(file);
  if (!format) return tl::unexpected(format.error());
  DecodeLimits limits;
  limits.max_pixels = std::numeric_limits<std::uint64_t>::max();
  if (*format == Format::jpeg) {
    const auto header = JpegDecoder::header(file, limits);
    if (!header) return tl::unexpected(header.error());
    return Inspection{header->height, header->width, jpeg_mode(header->components),
                      JpegDecoder::is_sound(file, *header)};
  }
  const auto header = PngDecoder::header(file, limits);
  if (!header) return tl::unexpected(header.error());
  return Inspection{static_cast<int>(header->height), static_cast<int>(header->width),
                    png_mode(*header), png_is_sound(file, *header)};
}

}  // namespace ringfeed::decode
