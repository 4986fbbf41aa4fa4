#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include "augment/canvas.h"
#include "base/planar.h"

namespace ringfeed::testing {

using Pixel = std::array<std::uint8_t, 3>;

struct Picture {
  int height, width;
  std::vector<Pixel> pixels;  ///< row by row

  Pixel& at(int y, int x) { return pixels[static_cast<std::size_t>(y * width + x)]; }
  const Pixel& at(int y, int x) const { return pixels[static_cast<std::size_t>(y * width + x)]; }
  bool operator==(const Picture&) const = default;
};

/// With bytes between and behind the rows that must not count.
inline augment::Canvas to_canvas(const Picture& picture) {
  augment::Canvas canvas(picture.height, picture.width);
  std::memset(canvas.row(0), 0xA7, canvas.size() + kernel_slack);
  for (int y = 0; y < picture.height; ++y) {
    for (int x = 0; x < picture.width; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        canvas.row(y)[c * plane_stride(picture.width) + static_cast<std::size_t>(x)] =
            picture.at(y, x)[c];
      }
    }
  }
  return canvas;
}

inline Picture to_picture(const augment::Canvas& canvas) {
  Picture picture{canvas.height(), canvas.width(), {}};
  for (int y = 0; y < canvas.height(); ++y) {
    for (int x = 0; x < canvas.width(); ++x) {
      const std::uint8_t* r = canvas.row(y) + x;
      const std::size_t stride = plane_stride(canvas.width());
      picture.pixels.push_back({r[0], r[stride], r[2 * stride]});
    }
  }
  return picture;
}

}  // namespace ringfeed::testing
