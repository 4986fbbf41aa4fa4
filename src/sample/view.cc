#include "sample/view.h"

#include <utility>
#include <variant>

#include "augment/erasing.h"
#include "augment/interleave.h"
#include "augment/noise.h"
#include "pack/erase.h"

namespace ringfeed::sample {

View::View(const TransformPlan& plan, const DecodeLimits& limits)
    : plan_(plan),
      max_canvas_bytes_(limits.max_canvas_bytes),
      out_{plan.out_height(), plan.out_width()},
      takes_whole_(std::holds_alternative<WholeImage>(plan.geometry)),
      has_any_size_(augment::Augmenter::has_canvases_of_any_size(plan)),
      resampler_(plan.pillow),
      packer_(plan) {
  if (!plan.augmentation.empty() || takes_whole_) {
    augmenter_.emplace(plan_, max_canvas_bytes_, resampler_);
  }
  if (plan.erasing) erased_.reserve(static_cast<std::size_t>(plan.erasing->max_count));
}

std::size_t View::need(int height, int width, data::Key key, std::uint64_t position) {
  if (augment::check_image(plan_, height, width, max_canvas_bytes_)) return 0;
  const auto geometry = augment::draw_geometry(plan_, height, width, key, position);
  std::size_t bytes = takes_whole_ ? 0 : resampler_.need(geometry);
  if (has_any_size_) {
    bytes += augmenter_->need(geometry.out_height, geometry.out_width, key, position).value_or(0);
  }
  return bytes;
}

decode::Region View::begin(int height, int width, data::Key key, std::uint64_t position,
                           std::byte* out) {
  key_ = key;
  position_ = position;
  out_bytes_ = out;
  next_row_ = 0;
  failure_ = augment::check_image(plan_, height, width, max_canvas_bytes_);
  if (failure_) return {};
  geometry_ = augment::draw_geometry(plan_, height, width, key, position);
  if (augmenter_) {
    auto drawn = augmenter_->begin(geometry_.out_height, geometry_.out_width, key, position);
    if (!drawn) {
      failure_ = std::move(drawn.error());
      return {};
    }
  }
  if (takes_whole_) return {0, 0, height, width};
  const decode::Region region = resampler_.begin(geometry_);
  take_rows();
  return region;
}

void View::push_row(const std::uint8_t* rgb) {
  if (takes_whole_) return augment::set_rgb_row(augmenter_->image(), next_row_++, rgb);
  resampler_.push_row(rgb);
  take_rows();
}

void View::take_rows() {
  for (; const std::uint8_t* row = resampler_.next_row(); ++next_row_) {
    if (augmenter_) {
      augmenter_->image().set_row(next_row_, row);
    } else {
      packer_.row(row, next_row_, out_bytes_);
    }
  }
}

tl::expected<void, decode::Failure> View::complete() {
  if (failure_) return tl::unexpected(std::move(*failure_));
  if (augmenter_) {
    augmenter_->augment();
    const augment::Canvas& image = augmenter_->image();
    for (int y = 0; y < out_.height; ++y) packer_.row(image.row(y), y, out_bytes_);
  }
  if (!plan_.erasing) return {};
  augment::draw_erasing(*plan_.erasing, out_.height, out_.width, key_, position_, erased_);
  if (!erased_.empty()) {
    pack::erase(plan_, erased_, augment::draw_noise_key(key_, position_), out_bytes_);
  }
  return {};
}

void View::flush() noexcept { packer_.finish(); }

std::size_t View::held() const noexcept {
  return resampler_.held() + (has_any_size_ ? augmenter_->held() : 0);
}

void View::release() {
  resampler_.release();
  if (has_any_size_) augmenter_->release();
}

std::size_t View::most_need(const TransformPlan& plan, const DecodeLimits& limits) noexcept {
  return resize::Resampler::most_need(plan, limits.max_pixels) +
         augment::Augmenter::most_need(plan, limits.max_canvas_bytes);
}

std::size_t View::fixed_bytes(const TransformPlan& plan) noexcept {
  const bool augments =
      !plan.augmentation.empty() || std::holds_alternative<WholeImage>(plan.geometry);
  const std::size_t augmenter = augments ? augment::Augmenter::fixed_bytes(plan) : 0;
  const std::size_t boxes =
      plan.erasing ? static_cast<std::size_t>(plan.erasing->max_count) * sizeof(Box) + 16 : 0;
  return resize::Resampler::fixed_bytes() + augmenter + pack::Packer::memory_bound(plan) + boxes +
         sizeof(View);
}

}  // namespace ringfeed::sample
