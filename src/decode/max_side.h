#pragma once

#include <cstddef>

namespace ringfeed::decode {

/// Pixels on either side of an image: libjpeg's own limit, kept for PNG too, so that the memory of
/// rows and resize tables has a bound.
inline constexpr std::size_t max_side = 65500;

}  // namespace ringfeed::decode
