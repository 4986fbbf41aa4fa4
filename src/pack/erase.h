#pragma once

#include <cstddef>

#include "ringfeed/transform.h"

namespace ringfeed::pack {

/// Sets `box` of the sample's tensor at `out` to the plan's erasing value, rounded to its dtype.
void erase(const TransformPlan& plan, const Box& box, std::byte* out);

}  // namespace ringfeed::pack
