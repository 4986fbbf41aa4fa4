#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "augment/gaussian_blur.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using augment::BoxBlur;
using augment::Canvas;

/// One box blur of a line, each sum made by itself.
std::vector<std::uint8_t> blurred(const std::vector<std::uint8_t>& line, const BoxBlur& box) {
  const int last = static_cast<int>(line.size()) - 1;
  const auto at = [&](int i) {
    return std::uint64_t{line[static_cast<std::size_t>(std::clamp(i, 0, last))]};
  };
  std::vector<std::uint8_t> result;
  for (int i = 0; i <= last; ++i) {
    std::uint64_t sum = 0;
    for (int k = -box.radius; k <= box.radius; ++k) sum += at(i + k);
    const std::uint64_t ends = at(i - box.radius - 1) + at(i + box.radius + 1);
    result.push_back(
        static_cast<std::uint8_t>((sum * box.full + ends * box.part + (1u << 23)) >> 24));
  }
  return result;
}

void blur_line(std::uint8_t* first, std::size_t step, int length, const BoxBlur& box) {
  std::vector<std::uint8_t> line;
  for (int i = 0; i < length; ++i) line.push_back(first[static_cast<std::size_t>(i) * step]);
  for (int pass = 0; pass < 3; ++pass) line = blurred(line, box);
  for (int i = 0; i < length; ++i) {
    first[static_cast<std::size_t>(i) * step] = line[static_cast<std::size_t>(i)];
  }
}

void reference(float radius, Canvas& image) {
  const BoxBlur box(radius);
  if (box.radius < 0) return;
  const std::size_t stride = plane_stride(image.width());
  for (std::size_t c = 0; c < 3; ++c) {
    for (int y = 0; y < image.height(); ++y) {
      blur_line(image.row(y) + c * stride, 1, image.width(), box);
    }
    for (int x = 0; x < image.width(); ++x) {
      blur_line(image.row(0) + c * stride + x, 3 * stride, image.height(), box);
    }
  }
}

/// Noise, or black and white.
Canvas picture(int height, int width, std::uint32_t seed) {
  std::mt19937 random(seed);
  Canvas image(height, width);
  for (std::size_t i = 0; i < image.size(); ++i) {
    const auto value = static_cast<std::uint8_t>(random() >> 24);
    image.row(0)[i] = seed % 2 == 0 ? value : value < 128 ? 0 : 255;
  }
  return image;
}

bool equal(const Canvas& a, const Canvas& b) {
  const std::size_t stride = plane_stride(a.width());
  for (int y = 0; y < a.height(); ++y) {
    for (std::size_t c = 0; c < 3; ++c) {
      if (!std::equal(a.row(y) + c * stride, a.row(y) + c * stride + a.width(),
                      b.row(y) + c * stride)) {
        return false;
      }
    }
  }
  return true;
}

TEST_CASE("a Gaussian blur equals plain loops, and keeps to its memory") {
  constexpr std::pair<int, int> sizes[] = {{1, 1},   {1, 40},  {40, 1},   {3, 7},
                                           {17, 33}, {64, 65}, {130, 50}, {224, 224}};
  testing::for_each_target([&](const std::string&) {
    std::uint32_t seed = 0;
    for (const auto& [height, width] : sizes) {
      for (const float radius :
           {0.0f, 1e-30f, 1e-4f, 0.1f, 0.7f, 1.6329932f, 2.0f, 9.5f, 63.0f, 64.5f, 200.0f}) {
        CAPTURE(height);
        CAPTURE(width);
        CAPTURE(radius);
        Canvas image = picture(height, width, ++seed), expected = image;
        const std::size_t size = augment::blur_scratch(height, width);
        std::vector<std::uint8_t> memory(size + 64, 0xA5);
        augment::gaussian_blur(radius, image, memory.data());
        reference(radius, expected);
        CHECK(equal(image, expected));
        CHECK(std::all_of(memory.begin() + static_cast<std::ptrdiff_t>(size), memory.end(),
                          [](std::uint8_t byte) { return byte == 0xA5; }));
      }
    }
  });
}

TEST_CASE("a box's weights make at most one") {
  std::mt19937 random(5);
  for (int i = 0; i < 100'000; ++i) {
    const float radius = std::uniform_real_distribution<float>(0, i % 2 == 0 ? 3.0f : 1e3f)(random);
    const BoxBlur box(radius);
    if (box.radius < 0) continue;
    const std::uint64_t all =
        std::uint64_t{box.full} * static_cast<std::uint64_t>(2 * box.radius + 1) +
        2 * std::uint64_t{box.part};
    REQUIRE(all <= 1u << 24);
    REQUIRE(all + 2 * static_cast<std::uint64_t>(box.radius) + 2 >= 1u << 24);
  }
}

}  // namespace
}  // namespace ringfeed
