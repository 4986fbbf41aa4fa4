#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "augment/canvas.h"
#include "ringfeed/operation.h"

namespace ringfeed::testing {

/// Pillow's affine and perspective transforms in plain loops. The result is interleaved RGB.
class AffineReference {
 public:
  AffineReference(const Operation& operation, const augment::Canvas& from)
      : operation_(operation),
        v_(operation.values.data()),
        from_(from),
        height_(from.height()),
        width_(from.width()) {
    for (int i = 0; i < height_ * width_; ++i) {
      result_.insert(result_.end(), operation.fill.begin(), operation.fill.end());
    }
    if (operation.interpolation != Interpolation::nearest) {
      filter();
    } else if (operation.kind == OperationKind::perspective) {
      nearest();
    } else if (v_[1] == 0 && v_[3] == 0) {
      scale();
    } else if (fits(0, 0) && fits(width_, height_) && fits(0, height_) && fits(width_, 0)) {
      fixed();
    } else {
      floating();
    }
  }

  const std::vector<std::uint8_t>& result() const { return result_; }

 private:
  static int to_int(double value) {  // as x86 does
    return value > -2147483649.0 && value < 2147483648.0 ? static_cast<int>(value)
                                                         : std::numeric_limits<int>::min();
  }
  static int whole(double value) { return value < 0 ? -1 : to_int(value); }
  static std::uint32_t fix(double value) {
    return static_cast<std::uint32_t>(to_int(std::floor(value * 65536.0 + 0.5)));
  }

  double at(int x, int y, std::size_t c) const {
    x = std::clamp(x, 0, width_ - 1);
    y = std::clamp(y, 0, height_ - 1);
    return from_.row(y)[c * plane_stride(width_) + static_cast<std::size_t>(x)];
  }
  std::uint8_t& out(int x, int y, std::size_t c) {
    return result_[(static_cast<std::size_t>(y) * static_cast<std::size_t>(width_) +
                    static_cast<std::size_t>(x)) *
                       3 +
                   c];
  }
  void copy(int x, int y, int from_x, int from_y) {
    if (from_x < 0 || from_x >= width_ || from_y < 0 || from_y >= height_) return;
    for (std::size_t c = 0; c < 3; ++c) {
      out(x, y, c) = static_cast<std::uint8_t>(at(from_x, from_y, c));
    }
  }

  struct Place {
    double x, y;
  };
  Place place(int x, int y) const {
    const double x_in = x + 0.5, y_in = y + 0.5;
    const double across = v_[0] * x_in + v_[1] * y_in + v_[2];
    const double down = v_[3] * x_in + v_[4] * y_in + v_[5];
    if (operation_.kind == OperationKind::affine) return {across, down};
    const double depth = v_[6] * x_in + v_[7] * y_in + 1;
    return {across / depth, down / depth};
  }

  void nearest() {
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) copy(x, y, whole(place(x, y).x), whole(place(x, y).y));
    }
  }

  void scale() {
    double from_y = v_[5] + v_[4] * 0.5;
    for (int y = 0; y < height_; ++y, from_y += v_[4]) {
      double from_x = v_[2] + v_[0] * 0.5;
      for (int x = 0; x < width_; ++x, from_x += v_[0]) copy(x, y, whole(from_x), whole(from_y));
    }
  }

  bool fits(int x, int y) const {
    return std::fabs(x * v_[0] + y * v_[1] + v_[2]) < 32768.0 &&
           std::fabs(x * v_[3] + y * v_[4] + v_[5]) < 32768.0;
  }

  void fixed() {
    std::uint32_t row_x = fix(v_[2] + v_[0] * 0.5 + v_[1] * 0.5);
    std::uint32_t row_y = fix(v_[5] + v_[3] * 0.5 + v_[4] * 0.5);
    for (int y = 0; y < height_; ++y, row_x += fix(v_[1]), row_y += fix(v_[4])) {
      std::uint32_t from_x = row_x;
      std::uint32_t from_y = row_y;
      for (int x = 0; x < width_; ++x, from_x += fix(v_[0]), from_y += fix(v_[3])) {
        copy(x, y, static_cast<int>(from_x) >> 16, static_cast<int>(from_y) >> 16);
      }
    }
  }

  void floating() {
    double row_x = v_[2] + v_[1] * 0.5 + v_[0] * 0.5;
    double row_y = v_[5] + v_[4] * 0.5 + v_[3] * 0.5;
    for (int y = 0; y < height_; ++y, row_x += v_[1], row_y += v_[4]) {
      double from_x = row_x;
      double from_y = row_y;
      for (int x = 0; x < width_; ++x, from_x += v_[0], from_y += v_[3]) {
        copy(x, y, whole(from_x), whole(from_y));
      }
    }
  }

  static double linear(double p, double q, double x) { return p + (q - p) * x; }
  static double cubic(double p, double q, double r, double s, double x) {
    return q + x * ((-p + r) + x * ((2 * (p - q) + r - s) + x * (-p + q - r + s)));
  }

  double bilinear(int x, int y, double dx, double dy, std::size_t c) const {
    const auto row = [&](int line) {
      return linear(at(x, y + line, c), at(x + 1, y + line, c), dx);
    };
    return linear(row(0), row(1), dy);
  }
  double bicubic(int x, int y, double dx, double dy, std::size_t c) const {
    const auto row = [&](int line) {
      const int ry = y + line;
      return cubic(at(x - 1, ry, c), at(x, ry, c), at(x + 1, ry, c), at(x + 2, ry, c), dx);
    };
    return cubic(row(-1), row(0), row(1), row(2), dy);
  }

  void filter() {
    for (int y = 0; y < height_; ++y) {
      for (int x = 0; x < width_; ++x) {
        auto [from_x, from_y] = place(x, y);
        if (from_x < 0 || from_x >= width_ || from_y < 0 || from_y >= height_) continue;
        from_x -= 0.5;
        from_y -= 0.5;
        const bool number = !std::isnan(from_x) && !std::isnan(from_y);
        const double ix = std::floor(from_x);
        const double iy = std::floor(from_y);
        for (std::size_t c = 0; c < 3; ++c) {
          double value = 0;  // what x86 makes of NaN
          if (number) {
            const auto function = operation_.interpolation == Interpolation::bilinear
                                      ? &AffineReference::bilinear
                                      : &AffineReference::bicubic;
            value = (this->*function)(static_cast<int>(ix), static_cast<int>(iy), from_x - ix,
                                      from_y - iy, c);
          }
          out(x, y, c) = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
        }
      }
    }
  }

  const Operation& operation_;
  const double* v_;
  const augment::Canvas& from_;
  int height_, width_;
  std::vector<std::uint8_t> result_;
};

}  // namespace ringfeed::testing
