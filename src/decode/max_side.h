#pragma once

#include <cstddef>

namespace ringfeed::decode {

/// Pixels on either side of an image: what a JPEG's header can state, kept for PNG too, so that the
/// memory of rows and resize tables has a bound.
inline constexpr std::size_t max_side = 65535;

}  // namespace ringfeed::decode
