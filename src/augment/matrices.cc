#include "augment/matrices.h"

#include <cmath>

#include "augment/fixed_trigonometry.h"

namespace ringfeed::augment {
namespace {

// Holds the products below, of seven sides.
__extension__ using Int128 = __int128;

}  // namespace

Matrix rotation(double degrees, Point center) noexcept {
  // Python's %, whose result has the sign of the divisor.
  double turn = std::fmod(degrees, 360.0);
  if (turn < 0) turn += 360.0;
  const double angle = -radians(turn);
  const double cosine = round_15_digits(cos_fixed(angle));
  const double sine = round_15_digits(sin_fixed(angle));
  Matrix m{cosine, sine, 0, -sine, cosine, 0};
  m[2] = m[0] * -center[0] + m[1] * -center[1] + 0.0 + center[0];
  m[5] = m[3] * -center[0] + m[4] * -center[1] + 0.0 + center[1];
  return m;
}

Matrix inverse_affine(Point center, double degrees, Point translate, double scale,
                      Point shear) noexcept {
  const double turn = radians(degrees);
  const double x = radians(shear[0]), y = radians(shear[1]);
  const double a = cos_fixed(turn - y) / cos_fixed(y);
  const double b = -cos_fixed(turn - y) * tan_fixed(x) / cos_fixed(y) - sin_fixed(turn);
  const double c = sin_fixed(turn - y) / cos_fixed(y);
  const double d = -sin_fixed(turn - y) * tan_fixed(x) / cos_fixed(y) + cos_fixed(turn);
  Matrix m{d / scale, -b / scale, 0.0 / scale, -c / scale, a / scale, 0.0 / scale};
  m[2] += m[0] * (-center[0] - translate[0]) + m[1] * (-center[1] - translate[1]);
  m[5] += m[3] * (-center[0] - translate[0]) + m[4] * (-center[1] - translate[1]);
  m[2] += center[0];
  m[5] += center[1];
  return m;
}

std::optional<std::array<float, 8>> perspective_coefficients(const Corners& corners, int height,
                                                             int width) noexcept {
  // From the unit square to the corners (Heckbert, "Fundamentals of Texture Mapping and Image
  // Warping", 1989), times a common denominator: whole numbers all the way.
  const auto [x0, y0] = corners[0];
  const auto [x1, y1] = corners[1];
  const auto [x2, y2] = corners[2];
  const auto [x3, y3] = corners[3];
  const auto cross = [](Int128 ax, Int128 ay, Int128 bx, Int128 by) { return ax * by - bx * ay; };
  const Int128 sum_x = Int128{x0} - x1 + x2 - x3, sum_y = Int128{y0} - y1 + y2 - y3;
  const Int128 scale = cross(x1 - x2, y1 - y2, x3 - x2, y3 - y2);
  const Int128 g = cross(sum_x, sum_y, x3 - x2, y3 - y2);
  const Int128 h = cross(x1 - x2, y1 - y2, sum_x, sum_y);
  const Int128 m[3][3] = {
      {(x1 - x0) * scale + g * x1, (x3 - x0) * scale + h * x3, x0 * scale},
      {(y1 - y0) * scale + g * y1, (y3 - y0) * scale + h * y3, y0 * scale},
      {g, h, scale},
  };
  // The other way round: the adjugate, up to its own scale.
  const auto minor = [&](int i, int j, int k, int l) {
    return m[i][j] * m[k][l] - m[i][l] * m[k][j];
  };
  const Int128 last = minor(0, 0, 1, 1);
  const bool on_a_line = scale == 0 || cross(x1 - x0, y1 - y0, x3 - x0, y3 - y0) == 0 ||
                         cross(x1 - x0, y1 - y0, x2 - x0, y2 - y0) == 0 ||
                         cross(x2 - x0, y2 - y0, x3 - x0, y3 - y0) == 0;
  if (on_a_line || last == 0) return std::nullopt;
  // Floats, which the caller widens: where both happened here, GCC 12 at -O3 left the rounding out
  // of the numbers that it computed in vectors.
  const auto part = [&](Int128 value) {
    return static_cast<float>(static_cast<double>(value) / static_cast<double>(last));
  };
  const Int128 right = width - 1, bottom = height - 1;
  return std::array{part(right * minor(1, 1, 2, 2)),  part(-right * minor(0, 1, 2, 2)),
                    part(right * minor(0, 1, 1, 2)),  part(-bottom * minor(1, 0, 2, 2)),
                    part(bottom * minor(0, 0, 2, 2)), part(-bottom * minor(0, 0, 1, 2)),
                    part(minor(1, 0, 2, 1)),          part(-minor(0, 0, 2, 1))};
}

}  // namespace ringfeed::augment
