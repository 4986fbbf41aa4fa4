#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>
#include <vector>

#include "data/random.h"
#include "decode/failure.h"
#include "ringfeed/augmentation.h"

namespace ringfeed::augment {

/// What `augmentation` does to the sample at `position`, an image of height x width, into
/// `operations`, which then holds at most max_operations(augmentation). Drawn from (key, position)
/// alone, without libm's functions, whose last bit differs between machines. Fails where a crop
/// finds the image too small, or where the image becomes larger than canvases may be. Any thread.
tl::expected<void, decode::Failure> draw_operations(std::span<const Augmentation> augmentation,
                                                    int height, int width, data::Key key,
                                                    std::uint64_t position,
                                                    std::size_t max_canvas_bytes,
                                                    std::vector<Operation>& operations);

}  // namespace ringfeed::augment
