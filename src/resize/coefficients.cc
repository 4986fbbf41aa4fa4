#include "resize/coefficients.h"

#include <algorithm>
#include <cmath>

namespace ringfeed::resize {
namespace {

struct Taps {
  int first;
  int count;
};

/// The weights of resized pixel `index`, in double and in Pillow's order of operations: another
/// order (or an FMA, see -ffp-contract in meson.build) moves a weight by one now and then.
Taps pixel_weights(int index, int in, double scale, std::int32_t* out, double* scratch) {
  const double support = std::max(scale, 1.0);
  const double inverse = 1.0 / support;
  const double center = (index + 0.5) * scale;
  int first = std::max(0, static_cast<int>(center - support + 0.5));
  const int end = std::min(in, static_cast<int>(center + support + 0.5));
  int count = end - first;

  double sum = 0;
  for (int i = 0; i < count; ++i) {
    const double distance = std::fabs((i + first - center + 0.5) * inverse);
    scratch[i] = distance < 1.0 ? 1.0 - distance : 0.0;
    sum += scratch[i];
  }
  for (int i = 0; i < count; ++i) {
    const double weight = sum != 0.0 ? scratch[i] / sum : scratch[i];
    out[i] = static_cast<std::int32_t>(0.5 + weight * (1 << weight_bits));
  }

  while (count > 0 && out[count - 1] == 0) --count;
  int zeros = 0;
  while (zeros < count && out[zeros] == 0) ++zeros;
  if (zeros > 0) std::copy(out + zeros, out + count, out);
  return {first + zeros, count - zeros};
}

}  // namespace

void compute_weights(const AxisRequest& request, AxisWeights& axis) {
  const double scale = static_cast<double>(request.in) / request.resized;
  const auto count = static_cast<std::size_t>(request.count);
  axis.stride = static_cast<std::size_t>(std::ceil(std::max(scale, 1.0))) * 2 + 1;
  axis.first.assign(count, 0);
  axis.taps.assign(count, 0);
  // Weights first, then scratch for one pixel's doubles.
  axis.weights.resize(count * axis.stride);
  std::vector<double> scratch(axis.stride);

  int begin = request.in;
  int end = 0;
  axis.max_taps = 0;
  for (int i = 0; i < request.count; ++i) {
    const int index = request.begin + (request.mirrored ? request.count - 1 - i : i);
    if (index < 0 || index >= request.resized) continue;
    const auto at = static_cast<std::size_t>(i);
    const Taps taps = pixel_weights(index, request.in, scale,
                                    axis.weights.data() + at * axis.stride, scratch.data());
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

}  // namespace ringfeed::resize
