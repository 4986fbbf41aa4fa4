#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ringfeed::augment {

/// One result of Pillow's filters at column + x, row + y, with fractions 0 <= x, y < 1 or NaN: in
/// double, in Pillow's order, truncated. `pixel` is that at (column, row) of a plane of an RGBX
/// image whose borders are repeated outwards, so that each pixel the filter looks at exists;
/// `pitch` bytes lead to the next row.

inline double linear(double a, double b, double x) { return a + (b - a) * x; }

inline double cubic(double a, double b, double c, double d, double x) {
  const double p2 = -a + c;
  const double p3 = 2 * (a - b) + c - d;
  const double p4 = -a + b - c + d;
  return b + x * (p2 + x * (p3 + x * p4));
}

/// 0 for NaN, as on x86.
inline std::uint8_t truncated(double value) {
  return value > 0 ? static_cast<std::uint8_t>(std::min(value, 255.0)) : std::uint8_t{0};
}

inline std::uint8_t bilinear(const std::uint8_t* pixel, std::ptrdiff_t pitch, double x, double y) {
  const std::uint8_t* below = pixel + pitch;
  return truncated(linear(linear(pixel[0], pixel[4], x), linear(below[0], below[4], x), y));
}

inline std::uint8_t bicubic(const std::uint8_t* pixel, std::ptrdiff_t pitch, double x, double y) {
  const auto along = [&](std::ptrdiff_t line) {
    const std::uint8_t* p = pixel + line * pitch;
    return cubic(p[-4], p[0], p[4], p[8], x);
  };
  return truncated(cubic(along(-1), along(0), along(1), along(2), y));
}

}  // namespace ringfeed::augment
