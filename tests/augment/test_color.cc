#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "augment/color.h"
#include "augment/sharpness.h"
#include "color_reference.h"
#include "support/targets.h"

namespace {

using ringfeed::Operation;
using ringfeed::OperationKind;
using ringfeed::augment::Canvas;
using ringfeed::testing::Picture;
using ringfeed::testing::Pixel;
using ringfeed::testing::plain;
using ringfeed::testing::to_canvas;
using ringfeed::testing::to_picture;

Operation make(OperationKind kind, double value = 0) {
  Operation operation;
  operation.kind = kind;
  operation.values[0] = value;
  return operation;
}

Picture apply(const Operation& operation, const Picture& picture) {
  Canvas canvas = to_canvas(picture);
  if (operation.kind != OperationKind::sharpness) {
    ringfeed::augment::color(operation, canvas);
    return to_picture(canvas);
  }
  Canvas sharpened(picture.height, picture.width);
  ringfeed::augment::sharpness(static_cast<float>(operation.values[0]), canvas, sharpened);
  return to_picture(sharpened);
}

template <class MakePixel>
Picture picture_of(int height, int width, MakePixel make_pixel) {
  Picture picture{height, width, {}};
  picture.pixels.resize(static_cast<std::size_t>(height * width));
  std::generate(picture.pixels.begin(), picture.pixels.end(), make_pixel);
  return picture;
}

/// Each channel's values lie in a range of its own.
Picture noise(int height, int width, std::mt19937& random) {
  Pixel low{}, high{};
  for (std::size_t c = 0; c < 3; ++c) {
    const unsigned a = random() % 256, b = random() % 256;
    low[c] = static_cast<std::uint8_t>(std::min(a, b));
    high[c] = static_cast<std::uint8_t>(std::max(a, b));
  }
  return picture_of(height, width, [&] {
    Pixel p{};
    for (std::size_t c = 0; c < 3; ++c) {
      p[c] = static_cast<std::uint8_t>(low[c] + random() % (high[c] - low[c] + 1u));
    }
    return p;
  });
}

/// Those of no number, and those of a factor with each kind of rounding.
std::vector<Operation> operations() {
  std::vector<Operation> all;
  for (auto kind : {OperationKind::hflip, OperationKind::vflip, OperationKind::grayscale,
                    OperationKind::invert, OperationKind::autocontrast, OperationKind::equalize}) {
    all.push_back(make(kind));
  }
  for (int bits = 0; bits <= 8; ++bits) all.push_back(make(OperationKind::posterize, bits));
  for (double threshold : {-1.0, 0.0, 1.0, 127.5, 170.0, 170.000005, 255.0, 255.5, 256.0}) {
    all.push_back(make(OperationKind::solarize, threshold));
  }
  for (auto kind : {OperationKind::brightness, OperationKind::contrast, OperationKind::saturation,
                    OperationKind::sharpness}) {
    for (double factor :
         {0.0, 1e-20, 0.1, 0.46, 0.6, 0.7, 0.9, 0.99, 1.0, 1.01, 1.3, 1.9, 2.7, 1e3, 1e12, -0.6}) {
      all.push_back(make(kind, factor));
    }
  }
  for (double shift : {0.0, 0.003, 0.1, -0.1, 0.25, -0.37, 0.5, -0.5}) {
    all.push_back(make(OperationKind::hue, shift));
  }
  return all;
}

void check(const Operation& operation, const Picture& picture) {
  CAPTURE(static_cast<int>(operation.kind));
  CAPTURE(operation.values[0]);
  CAPTURE(picture.height);
  CAPTURE(picture.width);
  const bool equal = apply(operation, picture) == plain(operation, picture);
  CHECK(equal);
}

constexpr int sizes[][2] = {{1, 1},  {1, 2},  {2, 3},   {3, 2},   {3, 3},   {7, 5},
                            {4, 15}, {5, 16}, {3, 31},  {17, 33}, {6, 47},  {3, 48},
                            {5, 63}, {3, 64}, {33, 65}, {4, 95},  {9, 127}, {97, 161}};

TEST_CASE("every operation equals plain loops at every size") {
  ringfeed::testing::for_each_target([](const std::string&) {
    std::mt19937 random(1);
    for (const auto& [height, width] : sizes) {
      for (const Operation& operation : operations()) {
        check(operation, noise(height, width, random));
      }
    }
  });
}

TEST_CASE("images of one and of two colours are treated as any other") {
  ringfeed::testing::for_each_target([](const std::string&) {
    std::mt19937 random(2);
    for (const Operation& operation : operations()) {
      const auto channel = [&] { return static_cast<std::uint8_t>(random()); };
      const Pixel a{channel(), channel(), channel()}, b{channel(), channel(), channel()};
      check(operation, picture_of(19, 37, [&] { return a; }));
      check(operation, picture_of(19, 37, [&] { return random() % 2 == 0 ? a : b; }));
      check(operation, picture_of(19, 37, [] { return Pixel{}; }));
      check(operation, picture_of(19, 37, [] { return Pixel{255, 255, 255}; }));
    }
  });
}

TEST_CASE("colours of every hue, saturation and value are turned as in floating point") {
  ringfeed::testing::for_each_target([](const std::string&) {
    // Ranges of 85, 170 and 255 have the hues that are whole numbers before Pillow's roundings.
    constexpr int least[] = {0, 0, 0, 50, 85}, largest[] = {85, 170, 255, 220, 170};
    for (int i = 0; i < 5; ++i) {
      for (int order = 0; order < 6; ++order) {
        int middle = least[i];
        const Picture picture = picture_of(1, largest[i] - least[i] + 1, [&] {
          std::array<int, 3> values{least[i], middle++, largest[i]};
          std::rotate(values.begin(), values.begin() + order % 3, values.end());
          if (order >= 3) std::swap(values[0], values[1]);
          Pixel p{};
          std::copy(values.begin(), values.end(), p.begin());
          return p;
        });
        for (int shift = -127; shift <= 127; ++shift) {
          check(make(OperationKind::hue, (shift + (shift < 0 ? -0.5 : 0.5)) / 255), picture);
        }
      }
    }
    std::mt19937 random(3);
    for (double shift : {0.0, 0.31}) {
      check(make(OperationKind::hue, shift), picture_of(500, 509, [&] {
              const auto bits = static_cast<std::uint32_t>(random());
              return Pixel{static_cast<std::uint8_t>(bits), static_cast<std::uint8_t>(bits >> 8),
                           static_cast<std::uint8_t>(bits >> 16)};
            }));
    }
  });
}

TEST_CASE("autocontrast rounds as Pillow does for every range") {
  ringfeed::testing::for_each_target([](const std::string&) {
    for (int low = 0; low < 256; low += 3) {
      for (int high = low; high < 256; ++high) {
        int next = low;
        const Picture picture = picture_of(1, high - low + 1, [&] {
          const auto value = static_cast<std::uint8_t>(next++);
          return Pixel{value, static_cast<std::uint8_t>(255 - value), 7};
        });
        check(make(OperationKind::autocontrast), picture);
      }
    }
  });
}

}  // namespace
