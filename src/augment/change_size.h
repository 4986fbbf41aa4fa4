#pragma once

#include <cstdint>

#include "augment/canvas.h"
#include "base/aligned_vector.h"
#include "resize/resampler.h"
#include "ringfeed/operation.h"

namespace ringfeed::augment {

/// The window of `from` that a crop names becomes `to`, which gets its size.
void crop(const Operation& operation, const Canvas& from, Canvas& to);

/// The resize of a whole image of size `from` that an operation names.
resize::Geometry whole_resize(const Operation& operation, Size from) noexcept;
/// The bytes of scratch memory that resize_canvas() needs.
std::size_t resize_scratch(int width) noexcept;

/// `from` in the size that a resize names becomes `to`. `row` is scratch memory.
void resize_canvas(const Operation& operation, const Canvas& from, Canvas& to,
                   resize::Resampler& resampler, AlignedVector<std::uint8_t>& row);

}  // namespace ringfeed::augment
