#pragma once

#include <cstdint>
#include <span>
#include <tl/expected.hpp>
#include <vector>

#include "decode/bytes.h"
#include "decode/failure.h"
#include "decode/image_decoder.h"
#include "decode/row_sink.h"
#include "resize/geometry.h"
#include "resize/resampler.h"
#include "ringfeed/transform.h"

namespace ringfeed::sample {

/// Encoded file -> one part of its image as RGB triples, in another size where that is asked for:
/// the bytes of Pillow's convert("RGB"), crop, transpose and resize. One thread's own; scratch
/// memory is reused from image to image.
class WindowDecoder {
 public:
  WindowDecoder(PillowRule rule, const DecodeLimits& limits) : decoder_(limits), resampler_(rule) {}

  /// Only a crop that lies within the image is decoded. `rgb` has window.out_height *
  /// window.out_width triples; on failure garbage stands there.
  tl::expected<void, decode::Failure> decode(decode::Bytes file, const resize::Geometry& window,
                                             std::span<std::uint8_t> rgb);

 private:
  class Sink;

  decode::ImageDecoder decoder_;
  resize::Resampler resampler_;
  std::vector<std::uint8_t> last_rows_;
};

}  // namespace ringfeed::sample
