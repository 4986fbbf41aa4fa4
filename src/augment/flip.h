#pragma once

#include "augment/canvas.h"

namespace ringfeed::augment {

/// Left to right, in place.
void hflip(Canvas& image);

/// Top to bottom, in place.
void vflip(Canvas& image);

}  // namespace ringfeed::augment
