#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "augment/geometry.h"
#include "decode/row_sink.h"
#include "ringfeed/transform.h"

namespace ringfeed::resize {

/// Streaming resize + flip + normalise + pack: source rows go in, the finished [3, H, W] tensor
/// comes out, bit-equal to Pillow's bilinear resize followed by torchvision's conversion.
/// One per decode thread; begin/push_row/… belong to that thread. Scratch is reused.
class Resampler {
 public:
  explicit Resampler(const TransformPlan& plan);
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  /// Starts one image; `out` has plan.sample_bytes() bytes. Returns the part of the source that
  /// `geometry` reads, empty where the whole window is padding: what rows to push.
  decode::Region begin(const augment::Geometry& geometry, std::byte* out);

  /// The next row of the region, top to bottom: region.width RGB triples, then decode::row_slack
  /// readable
  /// bytes. `rgb` may be reused as soon as this returns.
  void push_row(const std::uint8_t* rgb);

  /// Heap bytes held now.
  std::size_t memory_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringfeed::resize
