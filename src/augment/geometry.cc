#include "augment/geometry.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "augment/fixed_math.h"

namespace ringfeed::augment {
namespace {

/// Python's int(round(x)): half to even, in the default rounding mode.
int round_half_even(double x) noexcept { return static_cast<int>(std::nearbyint(x)); }

void set_crop(Geometry& g, int top, int left, int height, int width) noexcept {
  g.top = top;
  g.left = left;
  g.height = height;
  g.width = width;
}

/// torchvision's last resort: the largest central crop whose ratio is in range.
void central_crop(Geometry& g, const RandomResizedCrop& plan, int height, int width) noexcept {
  const double ratio = static_cast<double>(width) / height;
  int h = height, w = width;
  // torchvision rounds a side to 0 here for ratios beyond 2:1 on a line one pixel thick, and then
  // fails to resize nothing; one pixel is kept instead.
  if (ratio < plan.ratio_min) h = std::max(1, round_half_even(width / plan.ratio_min));
  if (ratio > plan.ratio_max) w = std::max(1, round_half_even(height * plan.ratio_max));
  set_crop(g, (height - h) / 2, (width - w) / 2, h, w);
}

void random_crop(Geometry& g, const RandomResizedCrop& plan, int height, int width,
                 data::RandomStream& draws) noexcept {
  const double area = static_cast<double>(height) * width;
  const double log_min = log_fixed(plan.ratio_min), log_max = log_fixed(plan.ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target =
        area * (plan.scale_min + draws.uniform() * (plan.scale_max - plan.scale_min));
    const double ratio = exp_fixed(log_min + draws.uniform() * (log_max - log_min));
    // Compared before the conversion: an extreme ratio gives sides no int holds.
    const double w = std::nearbyint(std::sqrt(target * ratio));
    const double h = std::nearbyint(std::sqrt(target / ratio));
    if (0 < w && w <= width && 0 < h && h <= height) {
      const int crop_height = static_cast<int>(h), crop_width = static_cast<int>(w);
      const auto offset = [&](int room) {
        return static_cast<int>(draws.bounded(static_cast<std::uint64_t>(room) + 1));
      };
      const int top = offset(height - crop_height);
      const int left = offset(width - crop_width);
      return set_crop(g, top, left, crop_height, crop_width);
    }
  }
  central_crop(g, plan, height, width);
}

/// `side` where one of length `from` becomes `size`: int(size * side / from), exact in integers.
/// What no int holds saturates; no memory holds such an image either, and the decoder refuses it.
int resized_side(int side, int from, int size) noexcept {
  const std::int64_t resized = std::int64_t{size} * side / from;
  return static_cast<int>(
      std::min<std::int64_t>(resized, std::numeric_limits<std::int32_t>::max()));
}

void set_resized(Geometry& g, const ResizeCenterCrop& plan, int height, int width) noexcept {
  g.resized_height = height;
  g.resized_width = width;
  if (plan.resize > 0) {
    const int shorter = std::min(height, width);
    g.resized_height = resized_side(height, shorter, plan.resize);
    g.resized_width = resized_side(width, shorter, plan.resize);
    const int longer = std::max(g.resized_height, g.resized_width);
    if (plan.max_size > 0 && longer > plan.max_size) {
      // torchvision rounds a thin image's side to 0 here, and then fails to resize to nothing.
      g.resized_height = std::max(1, resized_side(g.resized_height, longer, plan.max_size));
      g.resized_width = std::max(1, resized_side(g.resized_width, longer, plan.max_size));
    }
  } else if (plan.resize_height > 0) {
    g.resized_height = plan.resize_height;
    g.resized_width = plan.resize_width;
  }
}

/// Where CenterCrop's window begins. A side shorter than the window is padded first, the odd pixel
/// at its end, and is then exactly as long as the window.
int window_start(int side, int window) noexcept {
  if (side < window) return -((window - side) / 2);
  return round_half_even((side - window) / 2.0);
}

}  // namespace

Geometry draw_geometry(const TransformPlan& plan, int image_height, int image_width, data::Key key,
                       std::uint64_t position) noexcept {
  data::RandomStream draws(key, position, data::Purpose::crop);
  Geometry g;
  g.out_height = plan.out_height();
  g.out_width = plan.out_width();
  g.interpolation = plan.interpolation;
  if (const auto* crop = std::get_if<RandomResizedCrop>(&plan.geometry)) {
    random_crop(g, *crop, image_height, image_width, draws);
    g.resized_height = g.out_height;
    g.resized_width = g.out_width;
  } else {
    set_crop(g, 0, 0, image_height, image_width);
    set_resized(g, std::get<ResizeCenterCrop>(plan.geometry), image_height, image_width);
    g.window_top = window_start(g.resized_height, g.out_height);
    g.window_left = window_start(g.resized_width, g.out_width);
  }
  g.hflip = draws.uniform() < plan.hflip_probability;
  return g;
}

}  // namespace ringfeed::augment
