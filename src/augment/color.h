#pragma once

#include "augment/canvas.h"
#include "ringfeed/operation.h"

namespace ringfeed::augment {

/// Pillow's bits, in place, for every kind of operation that can do without a second canvas: all
/// but sharpness and affine. Of x86-64's Pillow: other builds may contract a blend's multiplication
/// and addition.
void color(const Operation& operation, Canvas& image);

}  // namespace ringfeed::augment
