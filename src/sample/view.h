#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <tl/expected.hpp>
#include <vector>

#include "augment/augmenter.h"
#include "augment/geometry.h"
#include "data/random.h"
#include "decode/failure.h"
#include "decode/row_sink.h"
#include "pack/packer.h"
#include "resize/resampler.h"
#include "ringfeed/transform.h"

namespace ringfeed::sample {

/// One output of an image: takes the decoded rows it asks for and makes the plan's tensor of them.
/// Rows go through the resize to the packer, or to the augmenter, which needs all of them; where
/// the plan takes the whole image, they go to the augmenter as they are. One
/// thread's own; scratch memory is reused from image to image.
class View {
 public:
  View(const TransformPlan& plan, const DecodeLimits& limits);
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  /// Starts on the image at `position`: draws, and returns what of it to push, which is nothing
  /// where complete() will fail. The tensor goes to `out`, plan.sample_bytes() bytes.
  decode::Region begin(int height, int width, data::Key key, std::uint64_t position,
                       std::byte* out);
  /// The next row of that region: see decode::RowSink.
  void push_row(const std::uint8_t* rgb);
  /// After the last row: what needs the whole image. The tensor is complete, unless the plan cannot
  /// be carried out on this image.
  tl::expected<void, decode::Failure> complete();
  /// At the end, of an image that failed too: another thread, which learns of it next, sees all
  /// that was written, and may write to `out` itself.
  void flush() noexcept;

  /// What was drawn for the last image.
  const augment::Geometry& geometry() const noexcept { return geometry_; }

  /// The most bytes that the image at `position` adds to those held(). Draws as begin() does, and
  /// allocates nothing.
  std::size_t need(int height, int width, data::Key key, std::uint64_t position);
  /// The most that this is for any image.
  static std::size_t most_need(const TransformPlan& plan, const DecodeLimits& limits) noexcept;
  /// Bytes kept from image to image, and an end to that.
  std::size_t held() const noexcept;
  void release();
  /// What one for `plan` takes besides.
  static std::size_t fixed_bytes(const TransformPlan& plan) noexcept;

 private:
  void take_rows();

  TransformPlan plan_;
  std::size_t max_canvas_bytes_;
  Size out_;
  bool takes_whole_;
  bool has_any_size_;  // the canvases
  resize::Resampler resampler_;
  std::optional<augment::Augmenter> augmenter_;  // where the plan has an augmentation
  pack::Packer packer_;
  std::vector<Box> erased_;

  // Of the image under way.
  std::optional<decode::Failure> failure_;
  augment::Geometry geometry_;
  data::Key key_{};
  std::uint64_t position_ = 0;
  std::byte* out_bytes_ = nullptr;
  int next_row_ = 0;
};

}  // namespace ringfeed::sample
