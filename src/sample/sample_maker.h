#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <tl/expected.hpp>

#include "augment/geometry.h"
#include "data/random.h"
#include "decode/failure.h"
#include "ringfeed/transform.h"

namespace ringfeed::sample {

/// When the rows that the resize emits are packed.
enum class Packing : std::uint8_t {
  by_row,       ///< each as soon as it is there
  from_canvas,  ///< when all stand in a Canvas: what operations on the image need
};

/// Encoded file -> one sample's tensor. One per decode thread and used by it alone; owns libjpeg's
/// and libpng's state and all scratch memory, reused from image to image.
class SampleMaker {
 public:
  SampleMaker(const TransformPlan& plan, const DecodeLimits& limits,
              Packing packing = Packing::by_row);
  ~SampleMaker();
  SampleMaker(const SampleMaker&) = delete;
  SampleMaker& operator=(const SampleMaker&) = delete;

  /// Decodes `encoded` (JPEG or PNG, told by its first bytes), applies the plan with the draws of
  /// (key, position), writes plan.sample_bytes() bytes to `out`. On failure `out` holds garbage.
  tl::expected<augment::Geometry, decode::Failure> make(std::span<const std::byte> encoded,
                                                        data::Key key, std::uint64_t position,
                                                        std::byte* out);

  /// The most bytes one SampleMaker holds, libjpeg's and libpng's memory included.
  static std::size_t memory_bound(const TransformPlan& plan, const DecodeLimits& limits,
                                  Packing packing = Packing::by_row) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringfeed::sample
