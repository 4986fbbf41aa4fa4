#include "decode/image_decoder.h"

#include <algorithm>

#include "decode/file_format.h"
#include "decode/jpeg/markers.h"

namespace ringfeed::decode {

tl::expected<void, Failure> ImageDecoder::decode(Bytes file, RowSink& sink) {
  const auto format = file_format(file);
  if (!format) return tl::unexpected(format.error());
  return *format == Format::jpeg ? jpeg_.decode(file, sink) : png_.decode(file, sink);
}

tl::expected<ImageDecoder::Need, Failure> ImageDecoder::need(Bytes file,
                                                             const DecodeLimits& limits) {
  const auto format = file_format(file);
  if (!format) return tl::unexpected(format.error());
  if (*format == Format::jpeg) {
    const auto header = JpegDecoder::header(file, limits);
    if (!header) return tl::unexpected(header.error());
    return Need{{header->height, header->width}, JpegDecoder::need(file, *header, limits)};
  }
  const auto header = PngDecoder::header(file, limits);
  if (!header) return tl::unexpected(header.error());
  return Need{{static_cast<int>(header->height), static_cast<int>(header->width)},
              PngDecoder::need(*header)};
}

std::size_t ImageDecoder::most_need(const DecodeLimits& limits) noexcept {
  return std::max(JpegDecoder::most_need(limits), PngDecoder::most_need(limits));
}

std::size_t ImageDecoder::scratch_bound() noexcept {
  return JpegDecoder::scratch_bound() + PngDecoder::scratch_bound;
}

}  // namespace ringfeed::decode
