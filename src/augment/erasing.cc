#include "augment/erasing.h"

#include <cmath>

#include "augment/fixed_math.h"

namespace ringfeed::augment {

Box draw_erasing(const RandomErasing& erasing, int height, int width, data::Key key,
                 std::uint64_t position) noexcept {
  data::RandomStream draws(key, position, data::Purpose::erase);
  if (draws.uniform() >= erasing.probability) return {};
  const double area = static_cast<double>(height) * width;
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
    return {top, left, static_cast<int>(h), static_cast<int>(w)};
  }
  return {};
}

}  // namespace ringfeed::augment
