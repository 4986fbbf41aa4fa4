#include <doctest/doctest.h>
#include <xxhash.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <random>
#include <utility>
#include <vector>

#include "affine_reference.h"
#include "augment/affine.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using augment::Canvas;

struct GoldenCase {
  int kind, height, width;
  Interpolation interpolation;
  std::array<double, Operation::max_values> values;
  std::uint64_t hash;
};

const GoldenCase golden_cases[] = {
#include "golden_affine.inc"
};

constexpr Interpolation interpolations[] = {Interpolation::nearest, Interpolation::bilinear,
                                            Interpolation::bicubic};

constexpr std::pair<int, int> sizes[] = {{1, 1},  {1, 9},   {9, 1},   {2, 2},   {3, 7},
                                         {5, 40}, {40, 33}, {17, 15}, {64, 64}, {50, 97}};

/// Noise, black and white, or flat areas with slopes; by make_golden_affine.py's formula.
Canvas synthetic(int kind, int height, int width) {
  Canvas canvas(height, width);
  for (std::uint32_t y = 0; y < static_cast<std::uint32_t>(height); ++y) {
    for (std::uint32_t c = 0; c < 3; ++c) {
      std::uint8_t* plane = canvas.row(static_cast<int>(y)) + c * plane_stride(width);
      for (std::uint32_t x = 0; x < static_cast<std::uint32_t>(width); ++x) {
        std::uint32_t h = (y * 73856093u) ^ (x * 19349663u) ^ (c * 83492791u);
        h ^= h >> 13;
        h *= 0x5BD1E995u;
        h ^= h >> 15;
        const std::uint32_t slopes = std::min((x / 8 * (c + 1) + y / 16 * 5) & 511, 255u);
        const std::uint32_t values[] = {h & 255, (h & 1) * 255, slopes};
        plane[x] = static_cast<std::uint8_t>(values[kind]);
      }
    }
  }
  return canvas;
}

Operation affine_operation(Interpolation interpolation,
                           const std::array<double, Operation::max_values>& values) {
  return {OperationKind::affine, interpolation, {9, 99, 200}, values};
}

Operation perspective_operation(Interpolation interpolation,
                                const std::array<double, Operation::max_values>& values) {
  return {OperationKind::perspective, interpolation, {9, 99, 200}, values};
}

/// The result as interleaved RGB, of memory that held `dirt`. Also looks that no byte but the
/// pixels and the scratch memory is written.
std::vector<std::uint8_t> run(const Operation& operation, const Canvas& from, int dirt = 0xA5) {
  const int height = from.height();
  const int width = from.width();
  const std::size_t stride = plane_stride(width);
  const auto before = static_cast<std::uint8_t>(dirt);
  Canvas to(height, width);
  std::fill_n(to.row(0), to.size() + kernel_slack, before);
  const std::size_t size = augment::affine_scratch(height, width);
  std::vector<std::uint8_t> memory(size + 128, before);
  // Memory of any alignment will do.
  const std::size_t start = 64 + static_cast<std::size_t>(dirt) % 7;
  augment::affine(operation, from, to, memory.data() + start);

  bool clean = true;
  for (std::size_t i = 0; i < start; ++i) clean = clean && memory[i] == before;
  for (std::size_t i = start + size; i < memory.size(); ++i) clean = clean && memory[i] == before;
  const std::uint8_t* end = to.row(0) + to.size();
  for (std::size_t i = 0; i < kernel_slack; ++i) clean = clean && end[i] == before;
  std::vector<std::uint8_t> rgb;
  for (int y = 0; y < height; ++y) {
    const std::uint8_t* row = to.row(y);
    for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
      for (std::size_t c = 0; c < 3; ++c) rgb.push_back(row[c * stride + x]);
    }
    for (std::size_t x = static_cast<std::size_t>(width); x < stride; ++x) {
      for (std::size_t c = 0; c < 3; ++c) clean = clean && row[c * stride + x] == before;
    }
  }
  CHECK(clean);
  return rgb;
}

void check(const Operation& operation, const Canvas& from) {
  CAPTURE(from.height());
  CAPTURE(from.width());
  CAPTURE(static_cast<int>(operation.interpolation));
  CAPTURE(operation.values[0]);
  CAPTURE(operation.values[1]);
  CAPTURE(operation.values[2]);
  CAPTURE(operation.values[3]);
  CAPTURE(operation.values[4]);
  CAPTURE(operation.values[5]);
  CAPTURE(operation.values[6]);
  CAPTURE(operation.values[7]);
  CHECK(run(operation, from) == testing::AffineReference(operation, from).result());
}

/// One of the kinds that take a way of their own.
std::array<double, Operation::max_values> random_values(std::mt19937_64& random, int kind,
                                                        int height, int width) {
  const auto draw = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  const auto centred = [&](double a, double b, double d, double e) {
    const double x = width / 2.0;
    const double y = height / 2.0;
    return std::array<double, Operation::max_values>{a, b, x - a * x - b * y,
                                                     d, e, y - d * x - e * y};
  };
  const double angle = draw(0, 2 * std::numbers::pi);
  switch (kind) {
    case 0: return centred(std::cos(angle), std::sin(angle), -std::sin(angle), std::cos(angle));
    case 1: return centred(1, draw(-2, 2), 0, 1);
    case 2: return centred(1, 0, draw(-2, 2), 1);
    case 3: return {1, 0, std::floor(draw(-9, 9)), 0, 1, std::floor(draw(-9, 9))};
    case 4: return {1, 0, draw(-9, 9), 0, 1, draw(-9, 9)};
    case 5: return centred(draw(-3, 3), 0, 0, draw(-3, 3));
    case 6: return centred(-1, 0, 0, 1);
    case 7: return centred(0, 1, -1, 0);
    case 8: return {0, draw(-2, 2), draw(0, 9), draw(-2, 2), 0, draw(0, 9)};
    case 9: return {draw(-2, 2), draw(-2, 2), draw(0, 9), draw(-2, 2), draw(-2, 2), draw(0, 9)};
    case 10: return {draw(-1e5, 1e5), draw(-1e5, 1e5), 1, draw(-1e5, 1e5), draw(-1e5, 1e5), 1};
    default: {
      // All of these, each with any other.
      constexpr double inf = std::numeric_limits<double>::infinity();
      const double numbers[] = {0,     1,   -1,  0.5,  std::nextafter(1.0, 0), 5e-324, -1e-17,
                                1e300, 4e4, 2e6, -inf, std::nan(""),           inf,    7};
      std::array<double, Operation::max_values> values{};
      for (double& value : values) value = numbers[random() % std::size(numbers)];
      return values;
    }
  }
}
constexpr int random_kinds = 14;  // the last three of which are the last

TEST_CASE("affine and perspective transforms have Pillow's bits") {
  testing::for_each_target([](const std::string&) {
    for (const GoldenCase& golden : golden_cases) {
      CAPTURE(&golden - golden_cases);
      const bool affine = golden.values[6] == 0 && golden.values[7] == 0;
      const auto operation = affine ? affine_operation(golden.interpolation, golden.values)
                                    : perspective_operation(golden.interpolation, golden.values);
      const auto rgb = run(operation, synthetic(golden.kind, golden.height, golden.width));
      CHECK(XXH64(rgb.data(), rgb.size(), 0) == golden.hash);
    }
  });
}

TEST_CASE("an affine transform equals plain loops in double") {
  testing::for_each_target([](const std::string&) {
    std::mt19937_64 random(1);
    for (const auto& [height, width] : sizes) {
      for (int image = 0; image < 3; ++image) {
        const Canvas from = synthetic(image, height, width);
        for (int i = 0; i < 2 * random_kinds; ++i) {
          const auto values = random_values(random, i % random_kinds, height, width);
          for (Interpolation interpolation : interpolations) {
            check(affine_operation(interpolation, values), from);
          }
        }
      }
    }
  });
}

/// As random_values(), with a perspective that kinds of their own have.
std::array<double, Operation::max_values> random_perspective(std::mt19937_64& random, int kind,
                                                             int height, int width) {
  const auto draw = [&](double low, double high) {
    return std::uniform_real_distribution<double>(low, high)(random);
  };
  auto values = random_values(random, static_cast<int>(random() % random_kinds), height, width);
  switch (kind) {
    case 0:  // a distortion of what torchvision draws
      return {draw(0.8, 1.5),          draw(-0.3, 0.3),         draw(-5, 5),
              draw(-0.3, 0.3),         draw(0.8, 1.5),          draw(-5, 5),
              draw(-0.5, 0.5) / width, draw(-0.5, 0.5) / height};
    case 1:  // a pole within the image, on the centre of a pixel at times
      values[6] = -1 / (static_cast<double>(random() % static_cast<unsigned>(width)) + 0.5);
      values[7] = 0;
      return values;
    case 2: return {1, 0, 0, 0, 1, 0, 0, 0};
    case 3:  // 0 / 0 on the centre of each pixel of one column
      return {1, 0, -0.5, 1, 0, -0.5, -2, 0};
    default:
      values[6] = draw(-3, 3);
      values[7] = draw(-3, 3);
      return values;
  }
}
constexpr int perspective_kinds = 5;

TEST_CASE("a perspective transform equals plain loops in double") {
  testing::for_each_target([](const std::string&) {
    std::mt19937_64 random(4);
    for (const auto& [height, width] : sizes) {
      for (int image = 0; image < 3; ++image) {
        const Canvas from = synthetic(image, height, width);
        for (int i = 0; i < 4 * perspective_kinds; ++i) {
          const auto values = random_perspective(random, i % perspective_kinds, height, width);
          for (Interpolation interpolation : interpolations) {
            check(perspective_operation(interpolation, values), from);
          }
        }
      }
    }
  });
}

TEST_CASE("places within roundings of a whole pixel are those in double") {
  // Rows and columns cross whole pixels at places that fixed point puts on either side.
  testing::for_each_target([](const std::string&) {
    std::mt19937_64 random(2);
    for (int i = 0; i < 300; ++i) {
      const Canvas from = synthetic(i % 2, 16, 21);
      const double shear = std::uniform_real_distribution<double>(1, 2)(random);
      for (Interpolation interpolation : {Interpolation::bilinear, Interpolation::bicubic}) {
        check(affine_operation(interpolation, {1, 0, 0, shear, 1, -shear * 10.5}), from);
        check(affine_operation(interpolation, {1, shear, -shear * 7.5, 0, 1, 0}), from);
      }
    }
  });
}

TEST_CASE("an affine transform does not depend on what memory held") {
  testing::for_each_target([](const std::string&) {
    const Canvas from = synthetic(0, 21, 37);
    for (Interpolation interpolation : interpolations) {
      const auto operation = affine_operation(interpolation, {0.9, 0.3, -2.5, -0.3, 0.9, 4.25});
      const auto rgb = run(operation, from, 0);
      CHECK(run(operation, from, 0xFF) == rgb);
      CHECK(run(operation, from, 0x3C) == rgb);
    }
  });
}

}  // namespace
}  // namespace ringfeed
