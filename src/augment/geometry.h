#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "augment/canvas_limits.h"
#include "data/random.h"
#include "decode/failure.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

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

/// The plan's geometry alone: torchvision's get_params and rounding, drawn from (key, position)
/// alone and without any libm function whose last bit differs between machines. Pure; any thread.
Geometry draw_geometry(const TransformPlan& plan, int image_height, int image_width, data::Key key,
                       std::uint64_t position) noexcept;

/// The box of the draws: see ringfeed::Draw.
Box drawn_box(const TransformPlan& plan, const Geometry& geometry, int image_width) noexcept;

/// What the geometry makes of an image; not known where it takes the whole.
Size head_size(const TransformPlan& plan) noexcept;

/// Why the plan's geometry cannot be carried out on an image, if so.
std::optional<decode::Failure> check_image(const TransformPlan& plan, int image_height,
                                           int image_width, std::size_t max_canvas_bytes);

}  // namespace ringfeed::augment
