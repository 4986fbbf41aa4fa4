#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <vector>

#include "augment/mixing.h"

namespace {

using ringfeed::augment::draw_beta;
using ringfeed::augment::draw_normal;
using ringfeed::data::make_key;
using ringfeed::data::Purpose;
using ringfeed::data::RandomStream;

constexpr int draws = 100'000;

/// Kolmogorov and Smirnov's distance times the root of the number of draws. Above 2.69 once in a
/// million runs of the true distribution.
constexpr double rare = 2.69;
template <typename Draw, typename Distribution>
double distance(Draw draw, Distribution below) {
  std::vector<double> found(draws);
  for (int i = 0; i < draws; ++i) found[static_cast<std::size_t>(i)] = draw(i);
  std::sort(found.begin(), found.end());
  double most = 0;
  for (int i = 0; i < draws; ++i) {
    const double expected = below(found[static_cast<std::size_t>(i)]);
    most = std::max({most, expected - double(i) / draws, double(i + 1) / draws - expected});
  }
  return most * std::sqrt(draws);
}

RandomStream stream_at(std::uint64_t seed, int position) {
  return {make_key(seed, 0), static_cast<std::uint64_t>(position), Purpose::mixing};
}

}  // namespace

TEST_CASE("normal draws follow the normal distribution") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  const auto draw = [&](int i) {
    RandomStream stream = stream_at(seed, i);
    return draw_normal(stream);
  };
  CHECK(distance(draw, [](double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }) < rare);
}

TEST_CASE("Beta draws follow their distribution where it has a closed form") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  const auto draw = [&](double alpha) {
    return [=](int i) {
      RandomStream stream = stream_at(seed, i);
      return static_cast<double>(draw_beta(stream, alpha));
    };
  };
  const auto arcsine = [](double x) { return 2 / std::numbers::pi * std::asin(std::sqrt(x)); };
  CHECK(distance(draw(0.5), arcsine) < rare);
  CHECK(distance(draw(1), [](double x) { return x; }) < rare);
  CHECK(distance(draw(2), [](double x) { return x * x * (3 - 2 * x); }) < rare);
}

TEST_CASE("Beta draws of one stream are independent of each other") {
  const std::uint64_t seed = std::random_device{}();
  INFO("seed " << seed);
  RandomStream stream = stream_at(seed, 0);
  const auto draw = [&](int) { return static_cast<double>(draw_beta(stream, 1)); };
  CHECK(distance(draw, [](double x) { return x; }) < rare);
}

TEST_CASE("an extreme alpha gives numbers in (0, 1), as torch does") {
  for (const double alpha : {1e-100, 1e-9, 1e-3, 1e3, 1e9, 1e300}) {
    CAPTURE(alpha);
    for (int i = 0; i < 1000; ++i) {
      RandomStream stream = stream_at(1, i);
      const float found = draw_beta(stream, alpha);
      REQUIRE(found > 0);
      REQUIRE(found < 1);
      if (alpha < 1e-8) REQUIRE((found < 1e-30f || found > 1 - 1e-6f));
      if (alpha > 1e8) REQUIRE(std::abs(found - 0.5f) < 1e-3f);
    }
  }
}

// ringfeed's own numbers. A promise: a run that goes on with a later version mixes as it began.
TEST_CASE("Beta draws stay what they were") {
  struct Known {
    double alpha;
    std::uint64_t position;
    float drawn;
  };
  constexpr Known known[] = {
      {0.2, 0, 0x1.fffffep-1f},
      {0.2, 1, 0x1.6faf78p-1f},
      {0.2, 64, 0x1.8399acp-1f},
      {0.2, 1281166, 0x1.93d89p-16f},
      {0.2, 1099511627776, 0x1.1fe93ap-3f},
      {0.8, 0, 0x1.fe6de4p-1f},
      {0.8, 1, 0x1.4cb954p-1f},
      {0.8, 64, 0x1.370734p-1f},
      {0.8, 1281166, 0x1.34010ep-5f},
      {0.8, 1099511627776, 0x1.116b7cp-3f},
      {1, 0, 0x1.b0abf4p-1f},
      {1, 1, 0x1.19e7c6p-1f},
      {1, 64, 0x1.0733e8p-2f},
      {1, 1281166, 0x1.1c022ap-2f},
      {1, 1099511627776, 0x1.fce3d6p-5f},
      {2, 0, 0x1.82fac4p-1f},
      {2, 1, 0x1.0ecc9p-1f},
      {2, 64, 0x1.6f3466p-2f},
      {2, 1281166, 0x1.62f5a6p-2f},
      {2, 1099511627776, 0x1.344436p-3f},
  };
  for (const Known& k : known) {
    CAPTURE(k.alpha);
    CAPTURE(k.position);
    RandomStream stream(make_key(3, 4), k.position, Purpose::mixing);
    CHECK(draw_beta(stream, k.alpha) == k.drawn);
  }
}
