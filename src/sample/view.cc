#include "sample/view.h"

#include "augment/erasing.h"
#include "augment/noise.h"
#include "pack/erase.h"

namespace ringfeed::sample {

View::View(const TransformPlan& plan) : plan_(plan), resampler_(plan.pillow), packer_(plan) {
  if (!plan.augmentation.empty()) augmenter_.emplace(plan_);
  if (plan.erasing) erased_.reserve(static_cast<std::size_t>(plan.erasing->max_count));
}

decode::Region View::begin(int height, int width, data::Key key, std::uint64_t position,
                           std::byte* out) {
  key_ = key;
  position_ = position;
  out_ = out;
  next_row_ = 0;
  geometry_ = augment::draw_geometry(plan_, height, width, key, position);
  const decode::Region region = resampler_.begin(geometry_);
  take_rows();
  return region;
}

void View::push_row(const std::uint8_t* rgb) {
  resampler_.push_row(rgb);
  take_rows();
}

void View::take_rows() {
  for (; const std::uint8_t* row = resampler_.next_row(); ++next_row_) {
    if (augmenter_) {
      augmenter_->image().set_row(next_row_, row);
    } else {
      packer_.row(row, next_row_, out_);
    }
  }
}

void View::complete() {
  if (augmenter_) {
    augmenter_->augment(key_, position_);
    const augment::Canvas& image = augmenter_->image();
    for (int y = 0; y < plan_.out_height(); ++y) packer_.row(image.row(y), y, out_);
  }
  if (!plan_.erasing) return;
  augment::draw_erasing(*plan_.erasing, plan_.out_height(), plan_.out_width(), key_, position_,
                        erased_);
  if (erased_.empty()) return;
  pack::erase(plan_, erased_, augment::draw_noise_key(key_, position_), out_);
}

void View::flush() noexcept { packer_.finish(); }

std::size_t View::memory_bound(const TransformPlan& plan, std::uint64_t max_pixels) noexcept {
  const std::size_t augmenter =
      plan.augmentation.empty() ? 0 : augment::Augmenter::memory_bound(plan);
  const std::size_t boxes =
      plan.erasing ? static_cast<std::size_t>(plan.erasing->max_count) * sizeof(Box) + 16 : 0;
  return resize::Resampler::memory_bound(plan, max_pixels) + augmenter +
         pack::Packer::memory_bound(plan) + boxes + sizeof(View);
}

}  // namespace ringfeed::sample
