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

  /// Reads the header and draws, which takes some 2 us; allocates nothing of the image's size.
  std::size_t need(std::span<const std::byte> encoded, data::Key key,
                   std::uint64_t position) override;

  /// What was drawn for a view of the last sample that was made.
  const augment::Geometry& geometry(std::size_t view = 0) const noexcept {
    return views_[view].view->geometry();
  }

  /// The most bytes one SampleMaker holds between images, itself included.
  static std::size_t own_bytes(const std::vector<TransformPlan>& plans) noexcept;
  /// The most that need() is for any image.
  static std::size_t most_need(const std::vector<TransformPlan>& plans,
                               const DecodeLimits& limits) noexcept;
  /// What need() is at most for most images: baseline JPEGs of 24 megapixels, progressive ones of
  /// 0.8, and whole images of 2 on their way.
  static std::size_t usual_need(const std::vector<TransformPlan>& plans) noexcept;

 private:
  class Sink;
  struct End;
  struct Branch {
    std::unique_ptr<View> view;
    decode::Region region{};  ///< of the image under way that it asked for
  };

  /// What follows from an image's size and may stay for the next, of all views together.
  static std::size_t kept_bytes(const std::vector<TransformPlan>& plans) noexcept;
  void release() noexcept;

  DecodeLimits limits_;
  std::size_t kept_bytes_;
  decode::ImageDecoder decoder_;
  std::vector<Branch> views_;
};

}  // namespace ringfeed::sample
