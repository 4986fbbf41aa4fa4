#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "ringfeed/transform.h"

namespace ringfeed::resize {

/// What one axis of a resize computes: `in` source pixels become `resized`, of which the output
/// window [begin, begin + count) is kept (pixels outside [0, resized) are padding), mirrored on
/// request.
struct AxisRequest {
  int in = 0;
  int resized = 0;
  int begin = 0;
  int count = 0;
  bool mirrored = false;         ///< the window
  bool mirrored_source = false;  ///< before the resize
  Interpolation filter = Interpolation::bilinear;

  bool operator==(const AxisRequest&) const = default;
};

/// Pillow's 8-bit weights of one axis, in fixed point with 22 fraction bits:
/// output = (2^21 + sum of weight * source) >> 22, clipped to [0, 255].
struct AxisWeights {
  /// The source pixels that any output reads: [source_begin, source_begin + source_count).
  int source_begin = 0;
  int source_count = 0;
  /// The most taps any output has.
  int max_taps = 0;
  /// Some weight is below 0: only then can a sum leave [0, 255].
  bool overshoots = false;
  /// Per output: the first source pixel, counted from source_begin, and how many follow. Padding
  /// has no taps.
  AlignedVector<int> first;
  AlignedVector<int> taps;
  /// Output i's weights begin at i * stride.
  std::size_t stride = 0;
  AlignedVector<std::int32_t> weights;
  /// Before they are rounded, of one output or of all: scratch that is kept from axis to axis.
  AlignedVector<double> exact;

  const std::int32_t* of(int output) const {
    return weights.data() + static_cast<std::size_t>(output) * stride;
  }
};

inline constexpr int weight_bits = 22;

/// Source pixels on either side of an output pixel's centre under which its filter lies, where the
/// axis is not made shorter.
double support(Interpolation filter) noexcept;

/// Pillow's precompute_coeffs and normalize_coeffs_8bpc (Resample.c). Weights that round to zero at
/// either end are dropped: they change no sum, and an axis of equal size becomes one tap of 2^22,
/// the copy that Pillow makes then. Nearest is one such tap wherever Pillow's ImagingScaleAffine
/// (Geometry.c) looks, which adds up the scale from pixel to pixel.
void compute_weights(const AxisRequest& request, AxisWeights& axis);

}  // namespace ringfeed::resize
