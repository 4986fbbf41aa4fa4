#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/random.h"
#include "ringfeed/augmentation.h"

namespace ringfeed::augment {

/// What `augmentation` does to the sample at `position`, an image of height x width, into
/// `operations`, which then holds at most max_operations(augmentation). Drawn from (key, position)
/// alone, without libm's functions, whose last bit differs between machines. Any thread.
void draw_operations(std::span<const Augmentation> augmentation, int height, int width,
                     data::Key key, std::uint64_t position, std::vector<Operation>& operations);

}  // namespace ringfeed::augment
