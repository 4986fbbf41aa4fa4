#include "augment/shapes.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>

#include "augment/fixed_math.h"

namespace ringfeed::augment {
namespace {

/// 0 to most, each as often.
int draw_whole(int most, data::RandomStream& draws) noexcept {
  return static_cast<int>(draws.bounded(static_cast<std::uint64_t>(most) + 1));
}

/// `side` where one of length `from` becomes `size`: int(size * side / from), exact in integers.
int resized_side(int side, int from, int size) noexcept {
  const std::int64_t resized = std::int64_t{size} * side / from;
  return static_cast<int>(
      std::min<std::int64_t>(resized, std::numeric_limits<std::int32_t>::max()));
}

/// Where CenterCrop's window begins. A side shorter than the window is padded first, the odd pixel
/// at its end, and is then exactly as long as the window.
int window_start(int side, int window) noexcept {
  if (side < window) return -((window - side) / 2);
  return round_half_even((side - window) / 2.0);
}

/// torchvision's last resort: the largest central crop whose ratio is in range.
Box central_crop(const RandomResizedCrop& step, Size image) noexcept {
  const double ratio = static_cast<double>(image.width) / image.height;
  int h = image.height, w = image.width;
  // torchvision rounds a side to 0 here for ratios beyond 2:1 on a line one pixel thick, and then
  // fails to resize nothing; one pixel is kept instead.
  if (ratio < step.ratio_min) h = std::max(1, round_half_even(image.width / step.ratio_min));
  if (ratio > step.ratio_max) w = std::max(1, round_half_even(image.height * step.ratio_max));
  return {(image.height - h) / 2, (image.width - w) / 2, h, w};
}

/// Python's round(), where an int holds it.
int rounded_side(double side) noexcept {
  return static_cast<int>(std::clamp(std::nearbyint(side), 0.0, double{1 << 30}));
}

}  // namespace

int round_half_even(double x) noexcept { return static_cast<int>(std::nearbyint(x)); }

Size resized(const Resize& step, Size image) noexcept {
  if (step.shorter == 0) return {step.height, step.width};
  const int shorter = std::min(image.height, image.width);
  Size size{resized_side(image.height, shorter, step.shorter),
            resized_side(image.width, shorter, step.shorter)};
  const int longer = std::max(size.height, size.width);
  if (step.max_size > 0 && longer > step.max_size) {
    // torchvision rounds a thin image's side to 0 here, and then fails to resize to nothing.
    size.height = std::max(1, resized_side(size.height, longer, step.max_size));
    size.width = std::max(1, resized_side(size.width, longer, step.max_size));
  }
  return size;
}

bool is_random(const ResizeKeepRatio& step) noexcept {
  return step.scale_probability > 0 || step.aspect_probability > 0;
}

Size draw_keep_ratio(const ResizeKeepRatio& step, Size image, data::RandomStream& draws) noexcept {
  const double ratio_height = static_cast<double>(image.height) / step.height;
  const double ratio_width = static_cast<double>(image.width) / step.width;
  const double ratio = std::max(ratio_height, ratio_width) * step.longest +
                       std::min(ratio_height, ratio_width) * (1.0 - step.longest);
  double factor_height = 1, factor_width = 1;
  const auto between = [&](double low, double high) {
    return low + draws.uniform() * (high - low);
  };
  if (step.scale_probability > 0 && draws.uniform() < step.scale_probability) {
    const double factor = between(step.scale_min, step.scale_max);
    factor_height = factor_width = step.scale_is_area ? 1.0 / std::sqrt(factor) : factor;
  }
  if (step.aspect_probability > 0 && draws.uniform() < step.aspect_probability) {
    const double aspect =
        std::sqrt(exp_fixed(between(log_fixed(step.aspect_min), log_fixed(step.aspect_max))));
    factor_height /= aspect;
    factor_width *= aspect;
  }
  return {rounded_side(image.height * factor_height / ratio),
          rounded_side(image.width * factor_width / ratio)};
}

Interpolation draw_one(const std::vector<Interpolation>& choice, Interpolation otherwise,
                       data::RandomStream& draws) noexcept {
  if (choice.empty()) return otherwise;
  return choice.size() == 1 ? choice[0] : choice[draws.bounded(choice.size())];
}

Box center_window(Size image, int height, int width) noexcept {
  return {window_start(image.height, height), window_start(image.width, width), height, width};
}

Box pad_window(const Pad& step, Size image) noexcept {
  return {-step.top, -step.left, image.height + step.top + step.bottom,
          image.width + step.left + step.right};
}

Box draw_resized_crop(const RandomResizedCrop& step, Size image,
                      data::RandomStream& draws) noexcept {
  const double area = static_cast<double>(image.height) * image.width;
  const double log_min = log_fixed(step.ratio_min), log_max = log_fixed(step.ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target =
        area * (step.scale_min + draws.uniform() * (step.scale_max - step.scale_min));
    const double ratio = exp_fixed(log_min + draws.uniform() * (log_max - log_min));
    // Compared before the conversion: an extreme ratio gives sides no int holds.
    const double w = std::nearbyint(std::sqrt(target * ratio));
    const double h = std::nearbyint(std::sqrt(target / ratio));
    if (0 < w && w <= image.width && 0 < h && h <= image.height) {
      const int height = static_cast<int>(h), width = static_cast<int>(w);
      const int top = draw_whole(image.height - height, draws);
      const int left = draw_whole(image.width - width, draws);
      return {top, left, height, width};
    }
  }
  return central_crop(step, image);
}

Box draw_random_crop(const RandomCrop& step, Size image, data::RandomStream& draws) noexcept {
  int top = step.top, left = step.left;
  int room_down = top + image.height + step.bottom - step.height;
  int room_across = left + image.width + step.right - step.width;
  const auto pad = [&](int& before, int& room) {
    if (!step.pad_if_needed || room >= 0) return;
    before -= room;
    room = -room;
  };
  pad(top, room_down);
  pad(left, room_across);
  if (room_down < 0 || room_across < 0) return {};
  const int y = draw_whole(room_down, draws), x = draw_whole(room_across, draws);
  return {y - top, x - left, step.height, step.width};
}

Box draw_crop_or_pad(const RandomCropOrPad& step, Size image, data::RandomStream& draws) noexcept {
  const auto draw = [&](int room) {
    const int offset = draw_whole(std::abs(room), draws);
    return room < 0 ? -offset : offset;
  };
  const int top = draw(image.height - step.height), left = draw(image.width - step.width);
  return {top, left, step.height, step.width};
}

}  // namespace ringfeed::augment
