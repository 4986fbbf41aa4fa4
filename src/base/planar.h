#pragma once

#include <cstddef>

namespace ringfeed {

// Planar 8-bit RGB, which the resize emits and the packer takes: a row is one plane of bytes for
// each of R, G and B, plane_stride() apart, with kernel_slack bytes behind the last.

/// Bytes past a row's end that a kernel may read, and behind its output write.
inline constexpr std::size_t kernel_slack = 64;

/// Planes of a row of planar pixels start this many bytes apart.
constexpr std::size_t plane_stride(int width) {
  return (static_cast<std::size_t>(width) + 15) & ~std::size_t{15};
}

}  // namespace ringfeed
