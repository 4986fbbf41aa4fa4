#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ringfeed/transform.h"

namespace ringfeed::pack {

/// Sets the boxes of the sample's tensor at `out`, one after the other, to what the plan's erasing
/// says: its value, or the noise of (noise_key, the box's number), rounded to the dtype.
void erase(const TransformPlan& plan, std::span<const Box> boxes, std::uint64_t noise_key,
           std::byte* out);

}  // namespace ringfeed::pack
