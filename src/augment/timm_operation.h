#pragma once

#include "data/random.h"
#include "ringfeed/operation.h"
#include "ringfeed/timm.h"

namespace ringfeed::augment {

/// Draws what timm's AugmentOp does to an image of that size.
Operation draw_timm_operation(const TimmOperation& node, int height, int width,
                              data::RandomStream& draws);

}  // namespace ringfeed::augment
