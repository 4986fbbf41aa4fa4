#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "augment/augmenter.h"
#include "augment/geometry.h"
#include "data/random.h"
#include "decode/row_sink.h"
#include "pack/packer.h"
#include "resize/resampler.h"
#include "ringfeed/transform.h"

namespace ringfeed::sample {

/// One output of an image: takes the decoded rows it asks for and makes the plan's tensor of them.
/// Rows go through the resize to the packer, or to the augmenter, which needs all of them. One
/// thread's own; scratch memory is reused from image to image.
class View {
 public:
  explicit View(const TransformPlan& plan);
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  /// Starts on the image at `position`: draws its geometry and returns what of it to push. The
  /// tensor goes to `out`, plan.sample_bytes() bytes.
  decode::Region begin(int height, int width, data::Key key, std::uint64_t position,
                       std::byte* out);
  /// The next row of that region: see decode::RowSink.
  void push_row(const std::uint8_t* rgb);
  /// After the last row: what needs the whole image. The tensor is complete.
  void complete();
  /// At the end, of an image that failed too: another thread, which learns of it next, sees all
  /// that was written, and may write to `out` itself.
  void flush() noexcept;

  /// What was drawn for the last image.
  const augment::Geometry& geometry() const noexcept { return geometry_; }

  /// The most bytes that one for `plan` holds, whatever images of at most `max_pixels` come.
  static std::size_t memory_bound(const TransformPlan& plan, std::uint64_t max_pixels) noexcept;

 private:
  void take_rows();

  TransformPlan plan_;
  resize::Resampler resampler_;
  std::optional<augment::Augmenter> augmenter_;  // where the plan has an augmentation
  pack::Packer packer_;
  std::vector<Box> erased_;

  // Of the image under way.
  augment::Geometry geometry_;
  data::Key key_{};
  std::uint64_t position_ = 0;
  std::byte* out_ = nullptr;
  int next_row_ = 0;
};

}  // namespace ringfeed::sample
