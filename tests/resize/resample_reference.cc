#include "resample_reference.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/planar.h"

namespace ringfeed::testing {
namespace {

std::size_t size(int value) { return static_cast<std::size_t>(value); }

/// Where a filter's weights come from, and how far they reach: Pillow's, spelt out once more.
struct Filter {
  double reach;
  double (*weight)(double x);
};

double sinc(double x) {
  return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi);
}

Filter filter_of(Interpolation interpolation) {
  switch (interpolation) {
    case Interpolation::nearest: break;
    case Interpolation::box: return {0.5, [](double x) { return double(x > -0.5 && x <= 0.5); }};
    case Interpolation::bilinear:
      return {1, [](double x) { return std::max(0.0, 1 - std::abs(x)); }};
    case Interpolation::hamming:
      return {1, [](double x) {
                return std::abs(x) < 1
                           ? sinc(x) * (0.54f + 0.46f * std::cos(std::abs(x) * std::numbers::pi))
                           : 0;
              }};
    case Interpolation::bicubic:
      return {2, [](double x) {
                x = std::abs(x);
                return x < 1   ? (1.5 * x - 2.5) * x * x + 1
                       : x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5
                               : 0;
              }};
    case Interpolation::lanczos:
      return {3, [](double x) { return -3 <= x && x < 3 ? sinc(x) * sinc(x / 3) : 0; }};
  }
  return {};
}

/// One axis as a dense matrix-free loop: what Pillow computes for output `index`.
struct Tap {
  int source;
  std::int64_t weight;
};
std::vector<Tap> taps_of(int index, int in, int out, Interpolation interpolation) {
  const double scale = static_cast<double>(in) / out;
  if (interpolation == Interpolation::nearest) {
    double center = scale * 0.5;
    for (int i = 0; i < index; ++i) center += scale;
    return {{static_cast<int>(center), 1 << 22}};
  }
  const Filter filter = filter_of(interpolation);
  const double stretch = scale > 1 ? scale : 1;
  const double reach = filter.reach * stretch;
  const double center = (index + 0.5) * scale;
  const int begin = std::max(0, static_cast<int>(center - reach + 0.5));
  const int end = std::min(in, static_cast<int>(center + reach + 0.5));
  std::vector<double> raw;
  double sum = 0;
  for (int i = begin; i < end; ++i) {
    raw.push_back(filter.weight((i - center + 0.5) * (1.0 / stretch)));
    sum += raw.back();
  }
  std::vector<Tap> taps;
  for (int i = begin; i < end; ++i) {
    const double weight = raw[size(i - begin)] / sum * 4194304.0;
    taps.push_back({i, std::llround(weight)});  // half away from zero
  }
  return taps;
}

Image resize_columns(const Image& in, int width, Interpolation interpolation) {
  if (width == in.width) return in;
  Image out{in.height, width, std::vector<std::uint8_t>(size(in.height) * size(width) * 3)};
  for (int x = 0; x < width; ++x) {
    const std::vector<Tap> taps = taps_of(x, in.width, width, interpolation);
    for (int y = 0; y < in.height; ++y) {
      for (int c = 0; c < 3; ++c) {
        std::int64_t sum = 1 << 21;
        for (const Tap& t : taps) sum += t.weight * in.row(y)[t.source * 3 + c];
        out.rgb[(size(y) * size(width) + size(x)) * 3 + size(c)] =
            static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> 22, 0, 255));
      }
    }
  }
  return out;
}

Image transposed(const Image& in) {
  Image out{in.width, in.height, std::vector<std::uint8_t>(in.rgb.size())};
  for (int y = 0; y < in.height; ++y) {
    for (int x = 0; x < in.width; ++x) {
      std::copy_n(in.row(y) + x * 3, 3, &out.rgb[(size(x) * size(in.height) + size(y)) * 3]);
    }
  }
  return out;
}

Image resize_rows(const Image& in, int height, Interpolation interpolation) {
  return transposed(resize_columns(transposed(in), height, interpolation));
}

}  // namespace

Image synthetic_image(int kind, int height, int width) {
  Image image{height, width, {}};
  image.rgb.reserve(size(height) * size(width) * 3);
  for (std::uint32_t y = 0; y < static_cast<std::uint32_t>(height); ++y) {
    for (std::uint32_t x = 0; x < static_cast<std::uint32_t>(width); ++x) {
      for (std::uint32_t c = 0; c < 3; ++c) {
        std::uint32_t h = (y * 73856093u) ^ (x * 19349663u) ^ (c * 83492791u);
        h ^= h >> 13;
        h *= 0x5bd1e995u;
        h ^= h >> 15;
        const std::uint32_t ramp = (5 * x + 3 * y + 40 * c) & 127;
        const std::uint32_t value = kind == 0   ? h & 255
                                    : kind == 1 ? (h & 1) * 255
                                                : (h & 127) + ramp;
        image.rgb.push_back(static_cast<std::uint8_t>(value));
      }
    }
  }
  return image;
}

std::vector<std::uint8_t> reference_resize(const Image& image, const augment::Geometry& g,
                                           PillowRule rule) {
  Image crop{g.height, g.width, {}};
  for (int y = 0; y < g.height; ++y) {
    const std::uint8_t* row = image.row(g.top + y) + g.left * 3;
    crop.rgb.insert(crop.rgb.end(), row, row + g.width * 3);
  }
  const int dh = g.height - g.resized_height;
  const int dw = g.width - g.resized_width;
  const bool rows_first =
      dh > 0 && (rule == PillowRule::from_13 ? dh > 2 * dw : g.height > 100 * g.width);
  const auto columns = [&](const Image& in) {
    return resize_columns(in, g.resized_width, g.interpolation);
  };
  const auto rows = [&](const Image& in) {
    return resize_rows(in, g.resized_height, g.interpolation);
  };
  const Image resized = rows_first ? columns(rows(crop)) : rows(columns(crop));
  std::vector<std::uint8_t> out(size(g.out_height) * size(g.out_width) * 3);
  for (int y = 0; y < g.out_height; ++y) {
    for (int x = 0; x < g.out_width; ++x) {
      const int sy = g.window_top + y;
      const int sx = g.window_left + (g.hflip ? g.out_width - 1 - x : x);
      if (sy < 0 || sy >= g.resized_height || sx < 0 || sx >= g.resized_width) continue;
      std::copy_n(resized.row(sy) + sx * 3, 3, &out[(size(y) * size(g.out_width) + size(x)) * 3]);
    }
  }
  return out;
}

std::vector<std::uint8_t> resample(resize::Resampler& resampler, const augment::Geometry& geometry,
                                   const Image& image) {
  std::vector<std::uint8_t> out;
  const auto take_rows = [&] {
    while (const std::uint8_t* planar = resampler.next_row()) {
      for (std::size_t x = 0; x < size(geometry.out_width); ++x) {
        for (std::size_t c = 0; c < 3; ++c) {
          out.push_back(planar[c * plane_stride(geometry.out_width) + x]);
        }
      }
    }
  };
  const auto region = resampler.begin(geometry);
  take_rows();
  const std::size_t row_bytes = size(region.width) * 3;
  REQUIRE(row_bytes <= image.rgb.size());
  for (int y = 0; y < region.height; ++y) {
    std::vector<std::uint8_t> row(row_bytes + decode::row_slack, 0xEE);
    std::memcpy(row.data(), image.row(region.top + y) + region.left * 3, row_bytes);
    resampler.push_row(row.data());
    std::fill(row.begin(), row.end(), std::uint8_t{0x77});
    take_rows();
  }
  return out;
}

}  // namespace ringfeed::testing
