#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "augment/fixed_math.h"

namespace {

using ringfeed::augment::exp_fixed;
using ringfeed::augment::log_fixed;

double ulps(double a, double exact) {
  const double ulp =
      std::nextafter(std::abs(exact), std::numeric_limits<double>::infinity()) - std::abs(exact);
  return std::abs(a - exact) / ulp;
}

}  // namespace

TEST_CASE("exp and log stay within 2 ulp of libm's") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> near(-3, 3), far(-700, 700);
  for (int i = 0; i < 200'000; ++i) {
    const double x = i % 2 == 0 ? near(random) : far(random);
    CAPTURE(x);
    REQUIRE(ulps(exp_fixed(x), std::exp(x)) <= 2);
    const double y = std::exp(x);
    REQUIRE(ulps(log_fixed(y), std::log(y)) <= 2);
  }
}

TEST_CASE("exp and log are exact where the answer is") {
  CHECK(exp_fixed(0) == 1);
  CHECK(log_fixed(1) == 0);
  CHECK(exp_fixed(1e9) == std::numeric_limits<double>::infinity());
  CHECK(exp_fixed(-1e9) == 0);
}
