#include "resize/coefficients.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ringfeed::resize {
namespace {

struct Taps {
  int first;
  int count;
};

// Pillow's filters, at x source pixels from the centre: their support, and their weight before it
// is divided by the sum of all. In Pillow's order of operations: another order (or an FMA, see
// -ffp-contract in meson.build) moves a weight by one now and then.

struct Box {
  static constexpr double support = 0.5;
  static constexpr bool has_negative_lobes = false;
  static double weight(double x) { return x > -0.5 && x <= 0.5 ? 1.0 : 0.0; }
};

struct Bilinear {
  static constexpr double support = 1.0;
  static constexpr bool has_negative_lobes = false;
  static double weight(double x) {
    x = std::fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
  }
};

struct Hamming {
  static constexpr double support = 1.0;
  static constexpr bool has_negative_lobes = false;
  static double weight(double x) {
    x = std::fabs(x);
    if (x == 0.0) return 1.0;
    if (x >= 1.0) return 0.0;
    x *= std::numbers::pi;
    return std::sin(x) / x * (double{0.54f} + double{0.46f} * std::cos(x));
  }
};

struct Bicubic {
  static constexpr double support = 2.0;
  static constexpr bool has_negative_lobes = true;
  static double weight(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
  }
};

struct Lanczos {
  static constexpr double support = 3.0;
  static constexpr bool has_negative_lobes = true;
  static double weight(double x) { return -3.0 <= x && x < 3.0 ? sinc(x) * sinc(x / 3) : 0.0; }
  static double sinc(double x) {
    if (x == 0.0) return 1.0;
    x *= std::numbers::pi;
    return std::sin(x) / x;
  }
};

/// Rounded half away from zero.
std::int32_t fixed_point(double weight) {
  return static_cast<std::int32_t>((weight < 0 ? -0.5 : 0.5) + weight * (1 << weight_bits));
}

/// The weights of resized pixel `index`.
template <class Filter>
Taps pixel_weights(int index, int in, double scale, std::int32_t* out, double* scratch) {
  const double stretch = std::max(scale, 1.0);
  const double support = Filter::support * stretch;
  const double inverse = 1.0 / stretch;
  const double center = (index + 0.5) * scale;
  int first = std::max(0, static_cast<int>(center - support + 0.5));
  const int end = std::min(in, static_cast<int>(center + support + 0.5));
  int count = end - first;

  double sum = 0;
  for (int i = 0; i < count; ++i) {
    scratch[i] = Filter::weight((i + first - center + 0.5) * inverse);
    sum += scratch[i];
  }
  for (int i = 0; i < count; ++i) out[i] = fixed_point(sum != 0.0 ? scratch[i] / sum : scratch[i]);

  while (count > 0 && out[count - 1] == 0) --count;
  int zeros = 0;
  while (zeros < count && out[zeros] == 0) ++zeros;
  if (zeros > 0) std::copy(out + zeros, out + count, out);
  return {first + zeros, count - zeros};
}

/// What one axis reads, from the weights of each of its outputs: weights_of(index, out).
template <class WeightsOf>
void fill(const AxisRequest& request, AxisWeights& axis, std::size_t stride,
          const WeightsOf& weights_of) {
  const auto count = static_cast<std::size_t>(request.count);
  axis.stride = stride;
  axis.first.assign(count, 0);
  axis.taps.assign(count, 0);
  axis.weights.resize(count * stride);
  axis.overshoots = false;

  int begin = request.in;
  int end = 0;
  axis.max_taps = 0;
  for (int i = 0; i < request.count; ++i) {
    const int index = request.begin + (request.mirrored ? request.count - 1 - i : i);
    if (index < 0 || index >= request.resized) continue;
    const auto at = static_cast<std::size_t>(i);
    std::int32_t* const weights = axis.weights.data() + at * stride;
    Taps taps = weights_of(index, weights);
    if (request.mirrored_source) {
      std::reverse(weights, weights + taps.count);
      taps.first = request.in - taps.first - taps.count;
    }
    axis.first[at] = taps.first;
    axis.taps[at] = taps.count;
    axis.max_taps = std::max(axis.max_taps, taps.count);
    begin = std::min(begin, taps.first);
    end = std::max(end, taps.first + taps.count);
  }

  axis.source_count = std::max(0, end - begin);
  axis.source_begin = axis.source_count > 0 ? begin : 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (axis.taps[i] > 0) axis.first[i] -= axis.source_begin;
  }
}

template <class Filter>
void convolution(const AxisRequest& request, AxisWeights& axis) {
  const double scale = static_cast<double>(request.in) / request.resized;
  const auto reach = static_cast<std::size_t>(std::ceil(Filter::support * std::max(scale, 1.0)));
  axis.exact.resize(reach * 2 + 1);
  fill(request, axis, axis.exact.size(), [&](int index, std::int32_t* out) {
    const Taps taps = pixel_weights<Filter>(index, request.in, scale, out, axis.exact.data());
    // The others are never below 0, and every image of a random crop comes by here.
    if constexpr (Filter::has_negative_lobes) {
      axis.overshoots |= std::any_of(out, out + taps.count, [](auto weight) { return weight < 0; });
    }
    return taps;
  });
}

void nearest(const AxisRequest& request, AxisWeights& axis) {
  const double scale = static_cast<double>(request.in) / request.resized;
  axis.exact.resize(static_cast<std::size_t>(request.count));  // centres of the window's pixels
  const int end = std::min(request.begin + request.count, request.resized);
  double center = scale * 0.5;
  for (int index = 0; index < end; ++index, center += scale) {
    if (index < request.begin) continue;
    axis.exact[static_cast<std::size_t>(index - request.begin)] = center;
  }
  fill(request, axis, 1, [&](int index, std::int32_t* out) {
    *out = 1 << weight_bits;
    return Taps{static_cast<int>(axis.exact[static_cast<std::size_t>(index - request.begin)]), 1};
  });
}

}  // namespace

double support(Interpolation filter) noexcept {
  switch (filter) {
    case Interpolation::nearest:
    case Interpolation::box: return Box::support;
    case Interpolation::bilinear: return Bilinear::support;
    case Interpolation::hamming: return Hamming::support;
    case Interpolation::bicubic: return Bicubic::support;
    case Interpolation::lanczos: return Lanczos::support;
  }
  return 0;
}

void compute_weights(const AxisRequest& request, AxisWeights& axis) {
  switch (request.filter) {
    case Interpolation::nearest: return nearest(request, axis);
    case Interpolation::box: return convolution<Box>(request, axis);
    case Interpolation::bilinear: return convolution<Bilinear>(request, axis);
    case Interpolation::hamming: return convolution<Hamming>(request, axis);
    case Interpolation::bicubic: return convolution<Bicubic>(request, axis);
    case Interpolation::lanczos: return convolution<Lanczos>(request, axis);
  }
}

}  // namespace ringfeed::resize
