#pragma once

#include <cstdint>

#include "data/random.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

/// One sample's geometry once its size is known: crop the source, resize the crop to `resized`,
/// keep the `out` window of that (whose parts outside are zeros), mirror.
struct Geometry {
  int top = 0, left = 0, height = 0, width = 0;  ///< crop, in source pixels
  int resized_height = 0, resized_width = 0;
  int window_top = 0, window_left = 0;  ///< in resized pixels; negative where padded
  int out_height = 0, out_width = 0;
  bool hflip = false;
  Interpolation interpolation = Interpolation::bilinear;

  bool operator==(const Geometry&) const = default;
};

/// torchvision's get_params and rounding, drawn from (key, position) alone and without any libm
/// function whose last bit differs between machines. Pure; any thread.
Geometry draw_geometry(const TransformPlan& plan, int image_height, int image_width, data::Key key,
                       std::uint64_t position) noexcept;

}  // namespace ringfeed::augment
