#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "augment/chain_mix.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using augment::Canvas;
using augment::ChainMix;

Canvas noise(int height, int width, std::uint32_t seed) {
  std::mt19937 random(seed);
  Canvas image(height, width);
  for (std::size_t i = 0; i < image.size(); ++i) {
    image.row(0)[i] = static_cast<std::uint8_t>(random() >> 24);
  }
  return image;
}

/// Pillow's Image.blend of one value.
float blended(float base, float value, float factor) {
  const float way = factor * (value - base);
  return static_cast<float>(static_cast<int>(base + way));
}

TEST_CASE("a mix of chains equals plain loops") {
  testing::for_each_target([](const std::string&) {
    std::mt19937 random(3);
    std::uniform_real_distribution<float> share(0, 1);
    for (const auto& [height, width] : {std::pair{1, 1}, {3, 17}, {64, 65}, {50, 97}}) {
      const Canvas original = noise(height, width, 1);
      const std::size_t size = original.size();
      for (const bool blends : {false, true}) {
        ChainMix mix(height, width);
        for (int round = 0; round < 3; ++round) {
          Canvas image = original;
          std::vector<float> sum(size, 0.0f);
          if (blends) std::copy_n(original.row(0), size, sum.begin());
          mix.begin(image, blends);
          for (std::uint32_t chain = 0; chain < 4; ++chain) {
            image = noise(height, width, 2 + chain);
            const float weight = share(random);
            for (std::size_t i = 0; i < size; ++i) {
              const auto value = static_cast<float>(image.row(0)[i]);
              const float way = weight * value;
              sum[i] = blends ? blended(sum[i], value, weight) : sum[i] + way;
            }
            blends ? mix.blend(weight, image) : mix.add(weight, image);
            CHECK(std::equal(image.row(0), image.row(0) + size, original.row(0)));
          }
          const float factor = share(random);
          mix.end(factor, image);
          std::size_t wrong = 0;
          for (std::size_t i = 0; i < size; ++i) {
            const float mixed = static_cast<float>(static_cast<int>(std::min(sum[i], 255.0f)));
            const float expected = blended(original.row(0)[i], mixed, factor);
            wrong += image.row(0)[i] == expected ? 0 : 1;
          }
          CHECK(wrong == 0);
        }
      }
    }
  });
}

}  // namespace
}  // namespace ringfeed
