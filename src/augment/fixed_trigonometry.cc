#include "augment/fixed_trigonometry.h"

#include <cmath>
#include <numbers>

namespace ringfeed::augment {
namespace {

/// The sum of two doubles, of which `low` is below half a unit in the last place of `high`.
struct Wide {
  double high = 0, low = 0;
};

/// Exact, for any a and b (Knuth's two-sum).
Wide sum(double a, double b) noexcept {
  const double s = a + b;
  const double t = s - a;
  return {s, (a - (s - t)) + (b - t)};
}

/// Exact, without a fused multiply-add (Dekker's product).
Wide product(double a, double b) noexcept {
  const auto split = [](double x) {
    const double t = 134217729.0 * x;  // 2^27 + 1
    const double high = t - (t - x);
    return Wide{high, x - high};
  };
  const double p = a * b;
  const Wide x = split(a), y = split(b);
  return {p, ((x.high * y.high - p) + x.high * y.low + x.low * y.high) + x.low * y.low};
}

Wide operator+(Wide a, Wide b) noexcept {
  const Wide high = sum(a.high, b.high), low = sum(a.low, b.low);
  const Wide middle = sum(high.high, high.low + low.high);
  return sum(middle.high, middle.low + low.low);
}

Wide operator-(Wide a) noexcept { return {-a.high, -a.low}; }

Wide operator*(Wide a, Wide b) noexcept {
  const Wide p = product(a.high, b.high);
  return sum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

Wide operator/(Wide a, Wide b) noexcept {
  const double first = a.high / b.high;
  const Wide rest = a + -(b * Wide{first, 0});
  const double second = rest.high / b.high;
  const Wide last = rest + -(b * Wide{second, 0});
  return sum(first, second) + Wide{last.high / b.high, 0};
}

struct SineCosine {
  Wide sine, cosine;
};

/// Taylor's series, |x| <= pi / 4: the first terms left out are below 2^-106.
SineCosine series(Wide x) noexcept {
  const Wide square = x * x;
  Wide sine{1, 0}, cosine{1, 0};
  for (int n = 26; n > 0; n -= 2) {
    sine = Wide{1, 0} + -(square * sine / Wide{static_cast<double>(n * (n + 1)), 0});
    cosine = Wide{1, 0} + -(square * cosine / Wide{static_cast<double>(n * (n - 1)), 0});
  }
  return {x * sine, cosine};
}

SineCosine sine_cosine(double x) noexcept {
  // pi / 2 in three parts, each the double nearest to what the ones before leave.
  constexpr double half_pi[3] = {0x1.921fb54442d18p+0, 0x1.1a62633145c07p-54,
                                 -0x1.f1976b7ed8fbcp-110};
  const double quarters = std::nearbyint(x * (2 / std::numbers::pi));
  Wide rest{x, 0};
  for (const double part : half_pi) rest = rest + -product(quarters, part);
  const SineCosine r = series(rest);
  switch (static_cast<long long>(quarters) & 3) {
    case 0: return r;
    case 1: return {r.cosine, -r.sine};
    case 2: return {-r.sine, -r.cosine};
    default: return {-r.cosine, r.sine};
  }
}

}  // namespace

double sin_fixed(double x) noexcept { return sine_cosine(x).sine.high; }

double cos_fixed(double x) noexcept { return sine_cosine(x).cosine.high; }

double tan_fixed(double x) noexcept {
  const SineCosine r = sine_cosine(x);
  return (r.sine / r.cosine).high;
}

double atan_fixed(double x) noexcept {
  if (x == 0) return x;
  // Newton's method on tan y = x, from below one part in 100 of it: each step squares the error.
  const double size = std::fabs(x);
  const double small = size <= 1 ? size : 1 / size;
  double y = small / (1 + 0.28 * small * small);
  if (size > 1) y = std::numbers::pi / 2 - y;
  Wide angle{x < 0 ? -y : y, 0};
  for (int step = 0; step < 4; ++step) {
    // The residual's own angle is small, where its tangent is close to it.
    const SineCosine r = sine_cosine(angle.high);
    const Wide wide_x{x, 0};
    Wide residual = (wide_x * r.cosine + -r.sine) / (r.cosine + wide_x * r.sine);
    residual = residual + -(residual * residual * residual / Wide{3, 0});
    const Wide at{angle.high, 0};
    angle = at + residual;
  }
  return angle.high;
}

double radians(double degrees) noexcept { return degrees * (std::numbers::pi / 180); }

double degrees(double radians) noexcept { return radians * (180 / std::numbers::pi); }

double round_15_digits(double x) noexcept {
  constexpr double digits = 1e15;
  const Wide scaled = product(x, digits);
  double nearest = std::nearbyint(scaled.high);
  const double rest = (scaled.high - nearest) + scaled.low;
  if (rest > 0.5) ++nearest;
  if (rest < -0.5) --nearest;
  return nearest / digits;
}

}  // namespace ringfeed::augment
