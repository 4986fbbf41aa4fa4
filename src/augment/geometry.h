#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "augment/canvas_limits.h"
#include "data/random.h"
#include "decode/failure.h"
#include "resize/geometry.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

using resize::Geometry;

/// The plan's geometry alone: torchvision's get_params and rounding, drawn from (key, position)
/// alone and without any libm function whose last bit differs between machines. Pure; any thread.
Geometry draw_geometry(const TransformPlan& plan, int image_height, int image_width, data::Key key,
                       std::uint64_t position) noexcept;

/// The box of the draws: see ringfeed::Draw.
Box drawn_box(const TransformPlan& plan, const Geometry& geometry, int image_width) noexcept;

/// Why the plan's geometry cannot be carried out on an image, if so.
std::optional<decode::Failure> check_image(const TransformPlan& plan, int image_height,
                                           int image_width, std::size_t max_canvas_bytes);

}  // namespace ringfeed::augment
