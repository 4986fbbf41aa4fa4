#include "decode/image_decoder.h"

#include <algorithm>

#include "decode/file_format.h"

namespace ringfeed::decode {

tl::expected<void, Failure> ImageDecoder::decode(Bytes file, RowSink& sink) {
  const auto format = file_format(file);
  if (!format) return tl::unexpected(format.error());
  return *format == Format::jpeg ? jpeg_.decode(file, sink) : png_.decode(file, sink);
}

std::size_t ImageDecoder::memory_bound(const DecodeLimits& limits) noexcept {
  // One of them decodes, the other keeps its scratch.
  return std::max(JpegDecoder::memory_bound(limits) + PngDecoder::scratch_bound,
                  PngDecoder::memory_bound(limits) + JpegDecoder::scratch_bound());
}

}  // namespace ringfeed::decode
