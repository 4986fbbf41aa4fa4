#pragma once

#include <cstddef>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"
#include "decode/jpeg/decoder.h"
#include "decode/png/decoder.h"
#include "decode/row_sink.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {

/// JPEG or PNG, told by the first bytes -> the region of RGB rows that the sink asks for. One
/// thread's own; owns libjpeg's and libpng's state, and keeps their scratch memory from image to
/// image.
class ImageDecoder {
 public:
  explicit ImageDecoder(const DecodeLimits& limits) : jpeg_(limits), png_(limits) {}

  /// On failure the sink may have got any number of rows.
  tl::expected<void, Failure> decode(Bytes file, RowSink& sink);

  /// The most bytes one decoder holds, libjpeg's and libpng's included.
  static std::size_t memory_bound(const DecodeLimits& limits) noexcept;

 private:
  JpegDecoder jpeg_;
  PngDecoder png_;
};

}  // namespace ringfeed::decode
