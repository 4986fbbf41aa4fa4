#pragma once

#include <cstdint>

#include "resize/resampler.h"

namespace ringfeed::decode {

/// Where a file format's decoder sends its pixels: it announces the size as soon as the header is
/// known, learns which part is wanted, and pushes exactly that part. Lets the formats be tested
/// without a resize and keeps geometry out of them.
class RowSink {
 public:
  virtual ~RowSink() = default;
  /// Called once per image, before anything of its size is allocated.
  virtual Resampler::Region begin(int height, int width) = 0;
  /// The next row of the region: region.width RGB triples, then Resampler::row_slack readable
  /// bytes.
  virtual void push_row(const std::uint8_t* rgb) = 0;
};

}  // namespace ringfeed::decode
