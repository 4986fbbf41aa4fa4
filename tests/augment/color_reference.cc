#include "color_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace ringfeed::testing {
namespace {

std::uint8_t clip(int value) { return static_cast<std::uint8_t>(std::clamp(value, 0, 255)); }

std::uint8_t blend(int from, int to, float factor) {
  const float sum = static_cast<float>(from) + factor * static_cast<float>(to - from);
  if (factor >= 0 && factor <= 1) return static_cast<std::uint8_t>(sum);
  return sum <= 0 ? 0 : sum >= 255 ? 255 : static_cast<std::uint8_t>(sum);
}

Pixel blend(Pixel from, Pixel to, float factor) {
  return {blend(from[0], to[0], factor), blend(from[1], to[1], factor),
          blend(from[2], to[2], factor)};
}

std::uint8_t gray(Pixel p) {
  return static_cast<std::uint8_t>((p[0] * 19595 + p[1] * 38470 + p[2] * 7471 + 0x8000) >> 16);
}

std::uint8_t mean_gray(const Picture& image) {
  double sum = 0;
  for (const Pixel& p : image.pixels) sum += gray(p);
  return static_cast<std::uint8_t>(sum / static_cast<double>(image.pixels.size()) + 0.5);
}

Pixel smooth(const Picture& image, int y, int x) {
  if (y == 0 || x == 0 || y == image.height - 1 || x == image.width - 1) return image.at(y, x);
  Pixel result{};
  for (std::size_t c = 0; c < 3; ++c) {
    float sum = 0.5f;
    for (int row = y + 1; row >= y - 1; --row) {
      const auto part = [&](int column, float weight) {
        return static_cast<float>(image.at(row, column)[c]) * (weight / 13.0f);
      };
      sum += part(x - 1, 1) + part(x, row == y ? 5 : 1) + part(x + 1, 1);
    }
    result[c] = clip(static_cast<int>(sum));
  }
  return result;
}

Pixel to_hsv(Pixel rgb) {
  const auto [r, g, b] = rgb;
  const std::uint8_t largest = std::max({r, g, b});
  const std::uint8_t least = std::min({r, g, b});
  if (largest == least) return {0, 0, largest};
  const auto range = static_cast<float>(largest - least);
  const float s = range / static_cast<float>(largest);
  const float rc = static_cast<float>(largest - r) / range;
  const float gc = static_cast<float>(largest - g) / range;
  const float bc = static_cast<float>(largest - b) / range;
  float h = bc - gc;
  if (r != largest) {
    h = static_cast<float>(g == largest ? 2.0 + double{rc} - double{bc}
                                        : 4.0 + double{gc} - double{rc});
  }
  h = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
  return {clip(static_cast<int>(h * 255.0)), clip(static_cast<int>(s * 255.0)), largest};
}

Pixel to_rgb(Pixel hsv) {
  const auto [h, s, v] = hsv;
  if (s == 0) return {v, v, v};
  const double sixths = static_cast<float>(h) * 6.0 / 255.0;
  const int i = static_cast<int>(std::floor(sixths));
  const auto f = static_cast<float>(sixths - i);
  const auto fs = static_cast<float>(s / 255.0);
  const float product = fs * f;
  const std::uint8_t p = clip(static_cast<int>(std::round(v * (1.0 - fs))));
  const std::uint8_t q = clip(static_cast<int>(std::round(v * (1.0 - product))));
  const std::uint8_t t = clip(static_cast<int>(std::round(v * (1.0 - fs * (1.0 - f)))));
  switch (i % 6) {
    case 0: return {v, t, p};
    case 1: return {q, v, p};
    case 2: return {p, v, t};
    case 3: return {p, q, v};
    case 4: return {t, p, v};
    default: return {v, p, q};
  }
}

Pixel shift_hue(Pixel rgb, double shift) {
  Pixel hsv = to_hsv(rgb);
  hsv[0] = static_cast<std::uint8_t>(hsv[0] + static_cast<int>(shift * 255));
  return to_rgb(hsv);
}

using Histogram = std::array<int, 256>;
using Table = std::array<std::uint8_t, 256>;

Table identity() {
  Table table;
  std::iota(table.begin(), table.end(), std::uint8_t{0});
  return table;
}

Table autocontrast(const Histogram& counts) {
  Table table = identity();
  int low = 0, high = 255;
  while (counts[static_cast<std::size_t>(low)] == 0) ++low;
  while (counts[static_cast<std::size_t>(high)] == 0) --high;
  if (high <= low) return table;
  const double scale = 255.0 / (high - low);
  const double offset = -low * scale;
  for (int i = 0; i < 256; ++i) {
    table[static_cast<std::size_t>(i)] = clip(static_cast<int>(i * scale + offset));
  }
  return table;
}

Table equalize(const Histogram& counts) {
  Table table = identity();
  std::vector<int> used;
  std::copy_if(counts.begin(), counts.end(), std::back_inserter(used),
               [](int n) { return n != 0; });
  if (used.size() <= 1) return table;
  const int step = std::accumulate(used.begin(), used.end() - 1, 0) / 255;
  if (step == 0) return table;
  int n = step / 2;
  for (std::size_t i = 0; i < 256; ++i) {
    table[i] = clip(n / step);
    n += counts[i];
  }
  return table;
}

template <class MakeTable>
void look_up(Picture& image, MakeTable make_table) {
  for (std::size_t c = 0; c < 3; ++c) {
    Histogram counts{};
    for (const Pixel& p : image.pixels) ++counts[p[c]];
    const Table table = make_table(counts);
    for (Pixel& p : image.pixels) p[c] = table[p[c]];
  }
}

template <class Function>
void for_each_value(Picture& image, Function function) {
  for (Pixel& p : image.pixels) {
    for (std::uint8_t& value : p) value = static_cast<std::uint8_t>(function(value));
  }
}

}  // namespace

Picture plain(const Operation& operation, const Picture& image) {
  Picture result = image;
  const double value = operation.values[0];
  const auto factor = static_cast<float>(value);
  const auto for_each_pixel = [&](auto function) {
    std::transform(image.pixels.begin(), image.pixels.end(), result.pixels.begin(), function);
  };
  switch (operation.kind) {
    case OperationKind::hflip:
    case OperationKind::vflip:
      for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
          result.at(y, x) = operation.kind == OperationKind::hflip
                                ? image.at(y, image.width - 1 - x)
                                : image.at(image.height - 1 - y, x);
        }
      }
      break;
    case OperationKind::grayscale:
      for_each_pixel([](Pixel p) { return Pixel{gray(p), gray(p), gray(p)}; });
      break;
    case OperationKind::invert: for_each_value(result, [](int v) { return 255 - v; }); break;
    case OperationKind::autocontrast: look_up(result, autocontrast); break;
    case OperationKind::equalize: look_up(result, equalize); break;
    case OperationKind::posterize:
      for_each_value(result,
                     [&](int v) { return v & ~((1 << (8 - static_cast<int>(value))) - 1); });
      break;
    case OperationKind::solarize:
      for_each_value(result, [&](int v) { return v < value ? v : 255 - v; });
      break;
    case OperationKind::brightness:
      for_each_pixel([&](Pixel p) { return blend({0, 0, 0}, p, factor); });
      break;
    case OperationKind::contrast: {
      const std::uint8_t mean = mean_gray(image);
      for_each_pixel([&](Pixel p) { return blend({mean, mean, mean}, p, factor); });
      break;
    }
    case OperationKind::saturation:
      for_each_pixel([&](Pixel p) { return blend({gray(p), gray(p), gray(p)}, p, factor); });
      break;
    case OperationKind::sharpness:
      for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) {
          result.at(y, x) = blend(smooth(image, y, x), image.at(y, x), factor);
        }
      }
      break;
    case OperationKind::hue: for_each_pixel([&](Pixel p) { return shift_hue(p, value); }); break;
    case OperationKind::affine:
    case OperationKind::resize:
    case OperationKind::crop:
    case OperationKind::perspective:
    case OperationKind::gaussian_blur:
    case OperationKind::mix_begin:
    case OperationKind::mix_add:
    case OperationKind::mix_blend:
    case OperationKind::mix_end: break;
    case OperationKind::solarize_add:
      for_each_value(
          result, [&](int v) { return v < 128 ? std::min(v + static_cast<int>(value), 255) : v; });
      break;
  }
  return result;
}

}  // namespace ringfeed::testing
