#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <tl/expected.hpp>

#include "augment/augmenter.h"
#include "augment/geometry.h"
#include "decode/jpeg/decoder.h"
#include "decode/png/decoder.h"
#include "pack/packer.h"
#include "resize/resampler.h"
#include "ringfeed/transform.h"
#include "sample/maker.h"

namespace ringfeed::sample {

/// Encoded file -> one sample's tensor. One per decode thread and used by it alone; owns libjpeg's
/// and libpng's state and all scratch memory, reused from image to image.
class SampleMaker final : public Maker {
 public:
  SampleMaker(const TransformPlan& plan, const DecodeLimits& limits);

  /// Decodes `encoded` (JPEG or PNG, told by its first bytes), applies the plan with the draws of
  /// (key, position), writes plan.sample_bytes() bytes to `out`.
  tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded, data::Key key,
                                           std::uint64_t position, std::byte* out) override;

  /// What was drawn for the last sample that was made.
  const augment::Geometry& geometry() const noexcept { return geometry_; }

  /// The most bytes one SampleMaker takes, itself and libjpeg's and libpng's memory included.
  static std::size_t memory_bound(const TransformPlan& plan, const DecodeLimits& limits) noexcept;

 private:
  class Sink;
  void pack_augmented(data::Key key, std::uint64_t position, std::byte* out);

  TransformPlan plan_;
  decode::JpegDecoder jpeg_;
  decode::PngDecoder png_;
  resize::Resampler resampler_;
  std::optional<augment::Augmenter> augmenter_;  // where the plan has an augmentation
  pack::Packer packer_;
  augment::Geometry geometry_;
};

}  // namespace ringfeed::sample
