#include "augment/blend.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace ringfeed::augment {
namespace {

constexpr int largest = 255;
/// For each difference from -largest on.
using Products = std::array<std::int32_t, 2 * largest + 1>;

std::int32_t floor_of(float value) {
  const auto truncated = static_cast<std::int32_t>(value);
  return truncated - (static_cast<float>(truncated) > value ? 1 : 0);
}

/// The floors of factor * difference. False if one is so little below a whole number that with some
/// bases the sum rounds up to it.
bool floors_of_products(float factor, Products& floors) {
  std::int32_t changes = 0;
  for (int i = 0; i <= 2 * largest; ++i) {
    const float product = factor * static_cast<float>(i - largest);
    floors[static_cast<std::size_t>(i)] = floor_of(product);
    // Sums from 128 to 255 are multiples of 2^-16.
    changes |= floor_of(product + 0x1p-16f) ^ floors[static_cast<std::size_t>(i)];
  }
  return changes == 0;
}

bool equal_in_words(const Products& floors, std::int32_t scaled, std::int32_t bias, int shift) {
  std::int32_t changes = 0;
  for (int i = 0; i <= 2 * largest; ++i) {
    const std::int32_t high = scaled >> 16, low = scaled & 0xFFFF;
    const std::int32_t difference = i - largest;
    const std::int32_t product = difference * high + (difference * low >> 16) + bias;
    changes |= (product >> shift) ^ floors[static_cast<std::size_t>(i)];
  }
  return changes == 0;
}

}  // namespace

Blend::Blend(float blend_factor)
    : factor(blend_factor), clips(!(blend_factor >= 0 && blend_factor <= 1)) {
  // The largest result that there can be, and with its sign turned the least, in 255ths.
  const float reach = std::max(std::abs(factor), std::abs(1 - factor));
  if (!(reach <= 8)) return;
  shift = reach <= 1 ? 8 : reach <= 2 ? 6 : reach <= 4 ? 5 : 4;
  Products floors;
  if (!floors_of_products(factor, floors)) return;
  const auto scaled =
      static_cast<std::int32_t>(std::floor(static_cast<double>(factor) * (65536 << shift) + 0.5));
  for (std::int16_t b : {std::int16_t{0}, std::int16_t{1}}) {
    if (!equal_in_words(floors, scaled, b, shift)) continue;
    low = static_cast<std::int16_t>(scaled);
    high = static_cast<std::int16_t>((scaled - low) / 65536);
    bias = b;
    in_words = true;
    return;
  }
}

}  // namespace ringfeed::augment
