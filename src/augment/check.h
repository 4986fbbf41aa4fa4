#pragma once

#include <cstddef>
#include <span>

#include "ringfeed/augmentation.h"

namespace ringfeed::augment {

/// Steps that a Shuffled can have.
inline constexpr std::size_t max_shuffled = 64;

/// Throws std::invalid_argument naming the step and the number that makes no sense.
void check(std::span<const Augmentation> augmentation);

}  // namespace ringfeed::augment
