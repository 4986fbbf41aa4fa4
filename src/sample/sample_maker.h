#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <tl/expected.hpp>
#include <vector>

#include "augment/geometry.h"
#include "decode/image_decoder.h"
#include "decode/row_sink.h"
#include "ringfeed/transform.h"
#include "sample/maker.h"
#include "sample/view.h"

namespace ringfeed::sample {

/// Encoded file -> one sample's tensors: the image is decoded once, for all views. One per decode
/// thread and used by it alone; all scratch memory is reused from image to image.
class SampleMaker final : public Maker {
 public:
  /// A view for each of `plans`; at least one.
  SampleMaker(const std::vector<TransformPlan>& plans, const DecodeLimits& limits);

  /// Decodes `encoded` (JPEG or PNG, told by its first bytes) and applies each plan at `position`,
  /// the first with the draws of key.view, the others with those of the views after it.
  tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded, data::Key key,
                                           std::uint64_t position, const Destination& to) override;

  /// What was drawn for a view of the last sample that was made.
  const augment::Geometry& geometry(std::size_t view = 0) const noexcept {
    return views_[view].view->geometry();
  }

  /// The most bytes one SampleMaker takes, itself and libjpeg's and libpng's memory included.
  static std::size_t memory_bound(const std::vector<TransformPlan>& plans,
                                  const DecodeLimits& limits) noexcept;

 private:
  class Sink;
  struct Flush;
  struct Branch {
    std::unique_ptr<View> view;
    decode::Region region{};  ///< of the image under way that it asked for
  };

  decode::ImageDecoder decoder_;
  std::vector<Branch> views_;
};

}  // namespace ringfeed::sample
