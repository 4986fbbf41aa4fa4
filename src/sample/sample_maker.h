#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "augment/geometry.h"
#include "decode/image_decoder.h"
#include "ringfeed/transform.h"
#include "sample/maker.h"
#include "sample/view.h"

namespace ringfeed::sample {

/// Encoded file -> one sample's tensor. One per decode thread and used by it alone; all scratch
/// memory is reused from image to image.
class SampleMaker final : public Maker {
 public:
  SampleMaker(const TransformPlan& plan, const DecodeLimits& limits);

  /// Decodes `encoded` (JPEG or PNG, told by its first bytes), applies the plan with the draws of
  /// (key, position), writes plan.sample_bytes() bytes to `out`.
  tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded, data::Key key,
                                           std::uint64_t position, std::byte* out) override;

  /// What was drawn for the last sample that was made.
  const augment::Geometry& geometry() const noexcept { return view_.geometry(); }

  /// The most bytes one SampleMaker takes, itself and libjpeg's and libpng's memory included.
  static std::size_t memory_bound(const TransformPlan& plan, const DecodeLimits& limits) noexcept;

 private:
  decode::ImageDecoder decoder_;
  View view_;
};

}  // namespace ringfeed::sample
