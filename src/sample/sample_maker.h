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

  /// The most bytes one SampleMaker takes, itself and libjpeg's and libpng's memory included, for
  /// images whose need() is 0.
  static std::size_t own_bytes(const std::vector<TransformPlan>& plans,
                               const DecodeLimits& limits) noexcept;
  /// The most that any image needs beyond that.
  static std::size_t reserve_bytes(const std::vector<TransformPlan>& plans,
                                   const DecodeLimits& limits) noexcept;

 private:
  class Sink;
  struct End;
  struct Branch {
    std::unique_ptr<View> view;
    decode::Region region{};  ///< of the image under way that it asked for
  };

  /// What follows from an image's size, of all parts of a maker together.
  struct Share {
    std::size_t image;  ///< that one image may take
    std::size_t kept;   ///< that stays for the next
  };
  /// What follows from the size of an image, for any.
  static std::size_t most_need(const std::vector<TransformPlan>& plans,
                               const DecodeLimits& limits) noexcept;
  static Share share(const std::vector<TransformPlan>& plans) noexcept;
  void release() noexcept;

  DecodeLimits limits_;
  Share share_;
  decode::ImageDecoder decoder_;
  std::vector<Branch> views_;
};

}  // namespace ringfeed::sample
