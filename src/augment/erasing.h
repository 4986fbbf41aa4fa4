#pragma once

#include <cstdint>

#include "data/random.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

/// torchvision's RandomErasing.get_params for an image of height x width, drawn from (key,
/// position) alone: ten tries, after which nothing is erased. Pure; any thread.
Box draw_erasing(const RandomErasing& erasing, int height, int width, data::Key key,
                 std::uint64_t position) noexcept;

}  // namespace ringfeed::augment
