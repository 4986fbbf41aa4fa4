#include "decode/image_size.h"

#include "decode/bytes.h"
#include "decode/file_format.h"
#include "decode/jpeg/decoder.h"
#include "decode/jpeg/markers.h"
#include "decode/png/decoder.h"

namespace ringfeed::decode {

tl::expected<ImageSize, Failure> image_size(std::span<const std::byte> beginning,
                                            const DecodeLimits& limits) {
  const Bytes file = to_bytes(beginning);
  const auto format = file_format(file);
  if (!format) return tl::unexpected(format.error());
  if (*format == Format::jpeg) {
    const auto header = JpegDecoder::header(file, limits);
    if (!header) return tl::unexpected(header.error());
    return ImageSize{header->height, header->width};
  }
  const auto header = PngDecoder::header(file, limits);
  if (!header) return tl::unexpected(header.error());
  return ImageSize{static_cast<int>(header->height), static_cast<int>(header->width)};
}

}  // namespace ringfeed::decode
