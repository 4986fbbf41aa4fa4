#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "augment/change_size.h"
#include "augment/interleave.h"
#include "base/planar.h"
#include "decode/row_sink.h"
#include "picture.h"
#include "support/targets.h"

namespace ringfeed::augment {
namespace {

using testing::Picture;
using testing::Pixel;
using testing::to_canvas;
using testing::to_picture;

Picture noise(int height, int width, std::uint32_t seed) {
  std::mt19937 random(seed);
  Picture picture{height, width, {}};
  for (int i = 0; i < height * width; ++i) {
    const auto value = [&] { return static_cast<std::uint8_t>(random()); };
    picture.pixels.push_back({value(), value(), value()});
  }
  return picture;
}

/// The index that NumPy's pad gives, step by step; -1: the fill colour.
int padded(int at, int size, PaddingMode mode) {
  while (at < 0 || at >= size) {
    switch (mode) {
      case PaddingMode::constant: return -1;
      case PaddingMode::edge: return at < 0 ? 0 : size - 1;
      case PaddingMode::reflect:
        if (size == 1) return 0;
        at = at < 0 ? -at : 2 * (size - 1) - at;
        break;
      case PaddingMode::symmetric: at = at < 0 ? -1 - at : 2 * size - 1 - at; break;
    }
  }
  return at;
}

TEST_CASE("a crop is a window of the image and of what lies beyond it") {
  constexpr Pixel fill{9, 200, 77};
  int checked = 0;
  for (const auto& [height, width] : {std::array{1, 1}, {1, 17}, {5, 1}, {31, 33}, {64, 130}}) {
    const Picture image = noise(height, width, 3);
    for (const auto& [name, mode] : padding_modes) {
      for (const Box window : {Box{0, 0, height, width}, Box{-3, -70, 9, 200}, Box{1, 2, 40, 5},
                               Box{-90, 16, 130, 33}, Box{height, width, 2, 3}}) {
        const Operation operation{
            .kind = OperationKind::crop,
            .fill = fill,
            .values = {double(window.top), double(window.left), double(window.height),
                       double(window.width), double(mode)}};
        Canvas to;
        crop(operation, to_canvas(image), to);
        Picture wanted{window.height, window.width, {}};
        for (int y = 0; y < window.height; ++y) {
          for (int x = 0; x < window.width; ++x) {
            const int line = padded(window.top + y, height, mode);
            const int column = padded(window.left + x, width, mode);
            wanted.pixels.push_back(line < 0 || column < 0 ? fill : image.at(line, column));
          }
        }
        INFO(name, " of ", height, " x ", width);
        CHECK(to_picture(to) == wanted);
        ++checked;
      }
    }
  }
  CHECK(checked == 100);
}

TEST_CASE("rows become planes and triples again on every target") {
  testing::for_each_target([](const std::string& target) {
    INFO(target);
    for (const int width : {1, 2, 15, 16, 17, 63, 64, 65, 500}) {
      const Picture picture = noise(3, width, 5);
      const auto bytes = 3 * static_cast<std::size_t>(width);
      Canvas canvas(3, width);
      for (int y = 0; y < 3; ++y) {
        // Exactly as many readable bytes as promised.
        const std::uint8_t* const pixels = picture.at(y, 0).data();
        std::vector<std::uint8_t> rgb(pixels, pixels + bytes);
        rgb.resize(bytes + kernel_slack);
        set_rgb_row(canvas, y, rgb.data());
      }
      CHECK(to_picture(canvas) == picture);
      for (const int begin : {0, width / 3}) {
        std::vector<std::uint8_t> rgb(bytes - 3 * static_cast<std::size_t>(begin) + kernel_slack);
        get_rgb_row(canvas, 1, begin, width - begin, rgb.data());
        CHECK(std::memcmp(rgb.data(), &picture.at(1, begin), rgb.size() - kernel_slack) == 0);
      }
    }
  });
}

}  // namespace
}  // namespace ringfeed::augment
