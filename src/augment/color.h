#pragma once

#include "augment/canvas.h"
#include "ringfeed/operation.h"

namespace ringfeed::augment {

/// Pillow's bits for every kind of operation that leaves a pixel in its place, but sharpness.
void color(const Operation& operation, Canvas& image);

/// Pillow's ImageEnhance.Sharpness(from).enhance(factor) into `to`, a canvas of the same size.
void sharpness(float factor, const Canvas& from, Canvas& to);

}  // namespace ringfeed::augment
