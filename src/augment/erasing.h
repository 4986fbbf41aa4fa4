#pragma once

#include <cstdint>
#include <vector>

#include "data/random.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

/// The boxes that are erased in an image of height x width, by the rule that torchvision's
/// get_params and timm's _erase share, drawn from (key, position) alone. Replaces what `boxes`
/// holds, erasing.max_count at most. Any thread.
void draw_erasing(const RandomErasing& erasing, int height, int width, data::Key key,
                  std::uint64_t position, std::vector<Box>& boxes);

}  // namespace ringfeed::augment
