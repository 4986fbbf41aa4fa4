#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "resize/coefficients.h"

namespace ringfeed::resize {

/// How the kernels hold a weight w: w = high * 2^11 + low, so that 16-bit multiply-adds of two taps
/// at once give exact 32-bit sums, modulo 2^32 on the way. The result stands from bit 22 on of
/// (low sum) + (high sum << 11) + 2^21, signed, where it may leave [0, 255] and has to be clipped.
/// Where it cannot, `low` is kept times 4, which puts the result into the top byte of
/// (low sum) + (high sum << 13) + 2^23 and saves a shift.
template <bool clips>
struct FixedPoint {
  static constexpr int low_factor = clips ? 1 : 4;
  static constexpr int high_shift = clips ? 11 : 13;
  static constexpr std::int32_t rounding = low_factor << 21;
};
struct SplitWeight {
  std::int16_t high;
  std::int16_t low;
};
constexpr SplitWeight split(std::int32_t weight, bool clips) {
  const int factor = clips ? FixedPoint<true>::low_factor : FixedPoint<false>::low_factor;
  return {static_cast<std::int16_t>(weight >> 11),
          static_cast<std::int16_t>((weight & 2047) * factor)};
}

/// The horizontal pass in the order a kernel with `lanes` pixels a vector walks it. A block is four
/// vectors; vector v of a block holds its pixels v, v + 4, v + 8, …, so that the four results of
/// each 32-bit lane are neighbours and pack without another shuffle.
struct HorizontalTable {
  int pairs = 0;  ///< tap pairs per pixel; up to 7, or else even
  int blocks = 0;
  bool clips = false;                   ///< results are clipped to [0, 255]
  std::size_t stride = 0;               ///< plane_stride(width)
  AlignedVector<std::int32_t> offsets;  ///< byte offset of each pixel's first tap
  /// Per vector and tap pair: `high` of every lane, then `low`. A pixel's lane is 16 bytes, the
  /// pair's two weights once for each of R, G and B.
  AlignedVector<std::int16_t> weights;
};
void build_horizontal(const AxisWeights& axis, int lanes, HorizontalTable& table);

/// The vertical pass: per output row and tap pair two words, each two weights (`high`, then `low`).
struct VerticalTable {
  int pairs = 0;
  bool clips = false;
  int ring_rows = 0;  ///< rows to keep, a power of two: from an output's first to the newest pushed
  AlignedVector<std::int32_t> words;

  const std::int32_t* of(int row) const {
    return words.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(pairs) * 2;
  }
};
void build_vertical(const AxisWeights& axis, VerticalTable& table);

}  // namespace ringfeed::resize
