#pragma once

#include <cstdint>

namespace ringfeed::augment {

/// Pillow's Image.blend: base + factor * (value - base) in float, rounded after the product and
/// after the sum, clipped and truncated.
struct Blend {
  explicit Blend(float blend_factor);

  float factor;
  /// Whether results can lie outside 0..255.
  bool clips;

  /// Whether base + (((difference * (high * 65536 + low) >> 16) + bias) >> shift) is the same for
  /// every base and difference: in 16-bit words, from which no result runs over, it takes half the
  /// time. It serves 99 % of random factors up to 3. Of round ones it serves most, 23 of the tenths
  /// up to 3: their products that are whole but for the factor's rounding need the bias.
  bool in_words = false;
  std::int16_t high = 0, low = 0, bias = 0;
  int shift = 0;
};

}  // namespace ringfeed::augment
