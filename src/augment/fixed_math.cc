#include "augment/fixed_math.h"

#include <cmath>

namespace ringfeed::augment {
namespace {

// ln 2 in two parts: `high` has trailing zeros enough that k * high is exact for every exponent k.
constexpr double ln2_high = 0x1.62e42fee00000p-1;
constexpr double ln2_low = 0x1.a39ef35793c76p-33;
constexpr double inverse_ln2 = 0x1.71547652b82fep+0;
constexpr double sqrt_half = 0x1.6a09e667f3bcdp-1;

}  // namespace

double exp_fixed(double x) noexcept {
  // Beyond these the result is infinite or zero, and the exponent would not fit an int.
  if (x > 1e4) return HUGE_VAL;
  if (x < -1e4) return 0;
  const double k = std::nearbyint(x * inverse_ln2);
  const double r = (x - k * ln2_high) - k * ln2_low;
  // Taylor's series on |r| <= ln(2) / 2, where the first term left out is below 2^-57.
  constexpr int degree = 13;
  double sum = 1;
  for (int n = degree; n > 0; --n) sum = 1 + sum * r / n;
  return std::ldexp(sum, static_cast<int>(k));
}

double log_fixed(double x) noexcept {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);
  if (mantissa < sqrt_half) {
    mantissa *= 2;
    --exponent;
  }
  // log m = 2 atanh z, z = (m - 1) / (m + 1), |z| <= 0.172: the odd series to z^21.
  const double z = (mantissa - 1) / (mantissa + 1);
  const double z2 = z * z;
  double sum = 0;
  for (int n = 21; n > 1; n -= 2) sum = (sum + 1.0 / n) * z2;
  const double k = exponent;
  return k * ln2_high + (k * ln2_low + 2 * (z + z * sum));
}

}  // namespace ringfeed::augment
