#include <Random123/philox.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <utility>
#include <vector>

#include "augment/noise.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using augment::draw_noise;
using augment::noise_group;

/// The header's definition in double and with libm.
std::vector<double> reference(std::uint64_t key, std::uint32_t box, std::uint32_t group) {
  std::vector<double> values(noise_group);
  for (std::uint32_t i = 0; i < 16; ++i) {
    const philox4x32_ctr_t counter = {{16 * group + i, box, 0, 0}};
    const philox4x32_key_t words = {
        {static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
    const philox4x32_ctr_t block = philox4x32(counter, words);
    for (std::size_t pair = 0; pair < 2; ++pair) {
      const std::uint32_t a = block.v[2 * pair], b = block.v[2 * pair + 1];
      const double radius = std::sqrt(-2 * std::log(((a >> 1) + 0.5) * 0x1p-31));
      const double angle = static_cast<std::int32_t>(b << 2) * (std::numbers::pi / 4 * 0x1p-31);
      double first = std::cos(angle) * ((b >> 31) != 0 ? -1 : 1), second = std::sin(angle);
      if ((b >> 30 & 1) != 0) std::swap(first, second);
      values[32 * pair + i] = radius * first;
      values[32 * pair + 16 + i] = radius * second;
    }
  }
  return values;
}

std::uint64_t random_key() {
  std::random_device random;
  return random() | std::uint64_t{random()} << 32;
}

TEST_CASE("noise is what its definition says, in the same bits on every instruction set") {
  const std::uint64_t key = random_key();
  INFO("key " << key);
  std::vector<std::vector<float>> of_target;
  testing::for_each_target([&](const std::string&) {
    std::vector<float> all;
    for (const std::uint32_t box : {0u, 1u, 999u}) {
      for (const std::uint32_t group : {0u, 3u, 70'000u, 3'145'725u}) {  // the last of 8192 x 8192
        std::vector<float> values(3 * noise_group);
        draw_noise(key, box, group, values);
        for (std::uint32_t g = 0; g < 3; ++g) {
          const std::vector<double> wanted = reference(key, box, group + g);
          for (std::size_t i = 0; i < noise_group; ++i) {
            // Where the radius is small, the rounding of the uniform shows most.
            const double most = std::abs(wanted[i]) < 0.01 ? 1e-4 : 2e-6;
            REQUIRE(std::abs(double{values[g * noise_group + i]} - wanted[i]) < most);
          }
        }
        all.insert(all.end(), values.begin(), values.end());
      }
    }
    of_target.push_back(std::move(all));
  });
  for (const std::vector<float>& values : of_target) CHECK(values == of_target[0]);
}

// ringfeed's own numbers. A promise: a run that goes on with a later version gets the same noise.
TEST_CASE("noise stays what it was") {
  std::array<float, noise_group> values{};
  draw_noise(0x0123456789abcdef, 2, 5, values);
  CHECK(values[0] == -0x1.439bcap-1f);
  CHECK(values[17] == -0x1.d392f8p-2f);
  CHECK(values[63] == 0x1.59bebcp+0f);
  CHECK(augment::draw_noise_key(data::make_key(3, 4), 1281166) == 0x389d50310f0ac949u);
}

TEST_CASE("noise follows the normal distribution, far out too") {
  const std::uint64_t key = random_key();
  INFO("key " << key);
  constexpr std::size_t count = std::size_t{1} << 21;
  constexpr double n = count;
  std::vector<float> values(count);
  draw_noise(key, 0, 0, values);
  double sum = 0, squares = 0, fourths = 0, neighbours = 0, pairs = 0;
  std::array<double, 6> beyond{};
  for (std::size_t i = 0; i < count; ++i) {
    const double x = values[i];
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
    if (i > 0) neighbours += x * double{values[i - 1]};
    if (i % 32 < 16) pairs += x * x * double{values[i + 16]} * double{values[i + 16]};
    for (std::size_t sigma = 3; sigma < 6; ++sigma) {
      beyond[sigma] += std::abs(x) > static_cast<double>(sigma) ? 1 : 0;
    }
  }
  // Six standard deviations of each.
  CHECK(std::abs(sum / n) < 6 / std::sqrt(n));
  CHECK(std::abs(squares / n - 1) < 6 * std::sqrt(2 / n));
  CHECK(std::abs(fourths / n - 3) < 6 * std::sqrt(96 / n));
  CHECK(std::abs(neighbours / n) < 6 / std::sqrt(n));
  CHECK(std::abs(pairs / (n / 2) - 1) < 6 * std::sqrt(8 / (n / 2)));
  for (std::size_t sigma = 3; sigma < 6; ++sigma) {
    CAPTURE(sigma);
    const double wanted = n * std::erfc(static_cast<double>(sigma) / std::numbers::sqrt2);
    CHECK(std::abs(beyond[sigma] - wanted) < 6 * std::sqrt(wanted) + 6);
  }
  std::sort(values.begin(), values.end());
  double distance = 0;  // Kolmogorov and Smirnov's
  for (std::size_t i = 0; i < count; ++i) {
    const double below = std::erfc(-double{values[i]} / std::numbers::sqrt2) / 2;
    const auto at = static_cast<double>(i);
    distance = std::max({distance, below - at / n, (at + 1) / n - below});
  }
  CHECK(distance * std::sqrt(n) < 2.69);  // passed once in a million
}

TEST_CASE("each sample and each box has noise of its own") {
  const data::Key key = data::make_key(7, 0);
  CHECK(augment::draw_noise_key(key, 1) != augment::draw_noise_key(key, 2));
  CHECK(augment::draw_noise_key(key, 1) != augment::draw_noise_key(data::make_key(7, 1), 1));
  CHECK(augment::noise_of_box(1, 0, 70) != augment::noise_of_box(1, 1, 70));
  CHECK(augment::noise_of_box(1, 0, 70) != augment::noise_of_box(2, 0, 70));
  CHECK(augment::noise_of_box(1, 0, 70).size() == 70);
}

}  // namespace
}  // namespace ringfeed
