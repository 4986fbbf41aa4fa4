#pragma once

#include "ringfeed/transform.h"

namespace ringfeed::resize {

/// One sample's geometry once its size is known: crop the source, resize the crop to `resized`,
/// keep the `out` window of that (whose parts outside are zeros), mirror. Where the source is
/// mirrored first, the crop is still in the file's own pixels.
struct Geometry {
  int top = 0, left = 0, height = 0, width = 0;  ///< crop, in source pixels
  int resized_height = 0, resized_width = 0;
  int window_top = 0, window_left = 0;  ///< in resized pixels; negative where padded
  int out_height = 0, out_width = 0;
  bool hflip = false;
  Interpolation interpolation = Interpolation::bilinear;
  bool mirrored_source = false;

  bool operator==(const Geometry&) const = default;
};

/// What the plan's geometry makes of an image; not known where it takes the whole.
Size head_size(const TransformPlan& plan) noexcept;

}  // namespace ringfeed::resize
