#pragma once

#include "augment/picture.h"
#include "ringfeed/operation.h"

namespace ringfeed::testing {

/// Pillow's operation as torchvision calls it, in plain loops with Pillow's own arithmetic: every
/// kind but affine.
Picture plain(const Operation& operation, const Picture& image);

}  // namespace ringfeed::testing
