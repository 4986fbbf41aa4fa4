#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "augment/geometry.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {

/// Streaming resize + flip + normalise + pack: source rows go in, the finished [3, H, W] tensor
/// comes out, bit-equal to Pillow's bilinear resize followed by torchvision's conversion.
/// One per decode thread; begin/push_row/… belong to that thread. Scratch is reused.
class Resampler {
 public:
  explicit Resampler(const TransformPlan& plan);
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  /// The part of the source that begin()'s geometry reads, in image coordinates. Height or width
  /// may be 0 when the whole window is padding.
  struct Region {
    int top = 0, left = 0, height = 0, width = 0;
  };

  /// Starts one image; `out` has plan.sample_bytes() bytes. Returns what rows to push.
  Region begin(const augment::Geometry& geometry, std::byte* out);

  /// Bytes past a row's end that push_row may read (their values do not matter).
  static constexpr std::size_t row_slack = 128;
  /// The next row of the region, top to bottom: region.width RGB triples, then row_slack readable
  /// bytes. `rgb` may be reused as soon as this returns.
  void push_row(const std::uint8_t* rgb);

  /// Heap bytes held now.
  std::size_t memory_bytes() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringfeed::decode
