#pragma once

#include "augment/canvas.h"

namespace ringfeed::augment {

/// Pillow's ImageEnhance.Sharpness(from).enhance(factor) into `to`, a canvas of the same size.
void sharpness(float factor, const Canvas& from, Canvas& to);

}  // namespace ringfeed::augment
