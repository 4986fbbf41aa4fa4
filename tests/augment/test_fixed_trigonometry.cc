#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>

#include "augment/fixed_trigonometry.h"

namespace ringfeed::augment {
namespace {

double ulps(double a, double exact) {
  const double size = std::abs(exact);
  return std::abs(a - exact) / (std::nextafter(size, HUGE_VAL) - size);
}

TEST_CASE("sine, cosine, tangent and arc tangent are within an ulp of libm's") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> near(-10, 10), far(-1e6, 1e6), small(-1e-3, 1e-3);
  for (int i = 0; i < 50'000; ++i) {
    for (const double x : {near(random), far(random), small(random)}) {
      CAPTURE(x);
      REQUIRE(ulps(sin_fixed(x), std::sin(x)) <= 1);
      REQUIRE(ulps(cos_fixed(x), std::cos(x)) <= 1);
      REQUIRE(ulps(tan_fixed(x), std::tan(x)) <= 1);
      REQUIRE(ulps(atan_fixed(x), std::atan(x)) <= 1);
    }
  }
}

TEST_CASE("trigonometry is exact where the answer is, signs of zero included") {
  for (const double zero : {0.0, -0.0}) {
    CHECK(sin_fixed(zero) == 0);
    CHECK(tan_fixed(zero) == 0);
    CHECK(std::signbit(atan_fixed(zero)) == std::signbit(zero));
    CHECK(cos_fixed(zero) == 1);
  }
  CHECK(sin_fixed(std::numbers::pi / 2) == 1);
  CHECK(atan_fixed(1) == std::numbers::pi / 4);
  CHECK(radians(180) == std::numbers::pi);
  CHECK(degrees(std::numbers::pi) == 180);
}

TEST_CASE("rounding to 15 digits takes the decimal nearest, half to even") {
  // Python: [round(x, 15) for x in ...]
  CHECK(round_15_digits(0x1.bb67ae8584caap-1) == 0.866025403784439);  // cos(pi / 6)
  CHECK(round_15_digits(0x1.1a62633145c07p-54) == 0);
  CHECK(round_15_digits(-0x1.ffffffffffff8p-1) == -0.999999999999999);
  CHECK(round_15_digits(0.5) == 0.5);
  CHECK(round_15_digits(1) == 1);
  CHECK(round_15_digits(1.5e-15) == 1e-15);  // the double is below its name
}

}  // namespace
}  // namespace ringfeed::augment
