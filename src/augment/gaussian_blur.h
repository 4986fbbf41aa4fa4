#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/canvas.h"

namespace ringfeed::augment {

/// Pillow's ImageFilter.GaussianBlur(radius), in place: three box blurs along the rows and three
/// down the columns, of a box whose ends count in part. `radius`: 0 to largest_blur_radius.
/// `scratch` holds blur_scratch(height, width) bytes, at any address.
void gaussian_blur(float radius, Canvas& image, std::uint8_t* scratch);

inline constexpr double largest_blur_radius = 1000;

/// The bytes of scratch memory that gaussian_blur() needs.
std::size_t blur_scratch(int height, int width) noexcept;

/// The box that Pillow takes for a Gaussian's radius.
struct BoxBlur {
  explicit BoxBlur(float gaussian_radius);

  /// Pixels on either side of the middle one that count in full; the next on either side count in
  /// part. -1: no blur.
  int radius = -1;
  /// The two weights, in 2^24ths: 2 radius + 1 times the first and twice the second make 1 at most.
  std::uint32_t full = 0, part = 0;
};

}  // namespace ringfeed::augment
