#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "decode/failure.h"
#include "ringfeed/shape.h"

namespace ringfeed::augment {

/// Pixels on either side of an image that is whole in memory on its way: so that the memory of
/// resize tables has a bound, and because Pillow's affine transform computes otherwise from twice
/// that on.
inline constexpr int max_canvas_side = 16384;

/// Why no canvas may have that size, if so. `where` the image has it: "behind", and the `step`.
std::optional<decode::Failure> check_canvas(Size size, std::size_t max_canvas_bytes,
                                            std::string_view where, std::string_view step = {});

/// The failure of an image that is too small for `step`.
decode::Failure too_small(Size image, int height, int width, std::string_view step);

}  // namespace ringfeed::augment
