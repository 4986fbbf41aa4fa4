#include "augment/matrices.h"

#include <cmath>

#include "augment/fixed_trigonometry.h"

namespace ringfeed::augment {

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

}  // namespace ringfeed::augment
