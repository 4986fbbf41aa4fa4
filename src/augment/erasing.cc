#include "augment/erasing.h"

#include <cmath>
#include <optional>

#include "augment/fixed_math.h"

namespace ringfeed::augment {
namespace {

std::optional<Box> draw_box(const RandomErasing& erasing, int height, int width, double area,
                            data::RandomStream& draws) noexcept {
  const double log_min = log_fixed(erasing.ratio_min), log_max = log_fixed(erasing.ratio_max);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double erased =
        area * (erasing.scale_min + draws.uniform() * (erasing.scale_max - erasing.scale_min));
    const double ratio = exp_fixed(log_min + draws.uniform() * (log_max - log_min));
    // Compared before the conversion: an extreme ratio gives sides no int holds.
    const double h = std::nearbyint(std::sqrt(erased * ratio));
    const double w = std::nearbyint(std::sqrt(erased / ratio));
    if (!(h < height && w < width)) continue;
    const auto offset = [&](double room) {
      return static_cast<int>(draws.bounded(static_cast<std::uint64_t>(room) + 1));
    };
    const int top = offset(height - h), left = offset(width - w);
    return Box{top, left, static_cast<int>(h), static_cast<int>(w)};
  }
  return std::nullopt;
}

}  // namespace

void draw_erasing(const RandomErasing& erasing, int height, int width, data::Key key,
                  std::uint64_t position, std::vector<Box>& boxes) {
  boxes.clear();
  data::RandomStream draws(key, position, data::Purpose::erase);
  if (draws.uniform() >= erasing.probability) return;
  int count = erasing.min_count;
  if (const int more = erasing.max_count - erasing.min_count; more > 0) {
    count += static_cast<int>(draws.bounded(static_cast<std::uint64_t>(more) + 1));
  }
  const double area = static_cast<double>(height) * width / count;
  for (int i = 0; i < count; ++i) {
    const std::optional<Box> box = draw_box(erasing, height, width, area, draws);
    if (box && box->height > 0 && box->width > 0) boxes.push_back(*box);
  }
}

}  // namespace ringfeed::augment
