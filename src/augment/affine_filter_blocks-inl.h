// The affine filters of one vector of pixels: included once per instruction set.

#if defined(RINGFEED_AUGMENT_AFFINE_FILTER_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef RINGFEED_AUGMENT_AFFINE_FILTER_BLOCKS_INL_H
#undef RINGFEED_AUGMENT_AFFINE_FILTER_BLOCKS_INL_H
#else
#define RINGFEED_AUGMENT_AFFINE_FILTER_BLOCKS_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "augment/affine_blocks-inl.h"
#include "augment/affine_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 && !HWY_HAVE_SCALABLE

/// Pairs of pixels, the first at each second index.
template <class D>
HWY_INLINE hn::Vec<D> load_pairs(D d, const std::uint32_t* pixels, const std::uint32_t* index) {
  if constexpr (hn::MaxLanes(D()) > 1) {
    const hn::Half<D> half;
    const auto low = load_pairs(half, pixels, index);
    return hn::Combine(d, load_pairs(half, pixels, index + 2 * hn::MaxLanes(half)), low);
  } else {
    return hn::BitCast(d, hn::LoadU(hn::Repartition<std::uint32_t, D>(), pixels + *index));
  }
}

/// Of each place, the pixel and the next on its right.
struct Pair {
  VU32 left, right;
};

HWY_INLINE Pair load_pair(const std::uint32_t* pixels, const std::uint32_t* index) {
  const DU32 d;
  const DU64 d64;
  const auto even = load_pairs(d64, pixels, index);
  const auto odd = load_pairs(d64, pixels, index + 1);
  return {hn::OddEven(hn::BitCast(d, hn::ShiftLeft<32>(odd)), hn::BitCast(d, even)),
          hn::OddEven(hn::BitCast(d, odd), hn::BitCast(d, hn::ShiftRight<32>(even)))};
}

template <int c>
HWY_INLINE VF weighted(const Pair& pixels, VF left, VF right, VF sum) {
  sum = hn::MulAdd(channel<c>(pixels.left), left, sum);
  return hn::MulAdd(channel<c>(pixels.right), right, sum);
}

HWY_INLINE std::uint32_t bilinear_block(const AffineRow& row, const std::uint32_t* column_x,
                                        const std::uint32_t* column_y, std::uint8_t* out,
                                        std::size_t stride) {
  const auto place_x = place(column_x, row.row_x);
  const auto place_y = place(column_y, row.row_y);
  alignas(64) std::uint32_t index[lanes];
  hn::Store(pixel_index(row, place_x, place_y), DU32(), index);
  const VF x = fraction(row, place_x);
  const VF y = fraction(row, place_y);
  const Pair top = load_pair(row.pixels, index);
  const Pair bottom = load_pair(row.pixels + row.pitch, index);
  const auto bottom_right = hn::Mul(x, y);
  const auto bottom_left = hn::Sub(y, bottom_right);
  const auto top_right = hn::Sub(x, bottom_right);
  const auto top_left = hn::Sub(hn::Sub(hn::Set(DF(), 1.0f), x), bottom_left);
  const VF start = bias(row);
  const Sums top_sums{weighted<0>(top, top_left, top_right, start),
                      weighted<1>(top, top_left, top_right, start),
                      weighted<2>(top, top_left, top_right, start)};
  const Sums sums{weighted<0>(bottom, bottom_left, bottom_right, top_sums.red),
                  weighted<1>(bottom, bottom_left, bottom_right, top_sums.green),
                  weighted<2>(bottom, bottom_left, bottom_right, top_sums.blue)};
  if (HWY_LIKELY(!store_sums(row, sums, out, stride))) return 0;
  auto differences = uncertain(row, x, y);
  if (!row.whole_x) differences = hn::Or(differences, hn::Xor(top.left, top.right));
  if (!row.whole_y) differences = hn::Or(differences, hn::Xor(top.left, bottom.left));
  if (!row.whole_x && !row.whole_y) {
    differences = hn::Or(differences, hn::Xor(top.left, bottom.right));
  }
  return doubtful_lanes(row, sums, differences);
}

/// 16 bytes from each fourth index on, as many as the vector has 16-byte blocks.
template <class D>
HWY_INLINE hn::Vec<D> load_blocks(D d, const std::uint32_t* pixels, const std::uint32_t* index) {
  if constexpr (hn::MaxLanes(D()) > 4) {
    const hn::Half<D> half;
    const auto low = load_blocks(half, pixels, index);
    return hn::Combine(d, load_blocks(half, pixels, index + hn::MaxLanes(half)), low);
  } else {
    return hn::LoadU(d, pixels + *index);
  }
}

/// Of each place, four pixels next to each other.
struct Four {
  VU32 taps[4];
};

HWY_INLINE Four load_four(const std::uint32_t* pixels, const std::uint32_t* index) {
  const DU32 d;
  const DU64 d64;
  const auto a = load_blocks(d, pixels, index);
  const auto b = load_blocks(d, pixels, index + 1);
  const auto c = load_blocks(d, pixels, index + 2);
  const auto e = load_blocks(d, pixels, index + 3);
  const auto ab_low = hn::BitCast(d64, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(d64, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(d64, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(d64, hn::InterleaveUpper(d, c, e));
  return {{hn::BitCast(d, hn::InterleaveLower(d64, ab_low, ce_low)),
           hn::BitCast(d, hn::InterleaveUpper(d64, ab_low, ce_low)),
           hn::BitCast(d, hn::InterleaveLower(d64, ab_high, ce_high)),
           hn::BitCast(d, hn::InterleaveUpper(d64, ab_high, ce_high))}};
}

/// The four pixels' weights at a fraction.
struct Weights {
  VF taps[4];
};

HWY_INLINE Weights cubic_weights(VF fraction) {
  const auto square = hn::Mul(fraction, fraction);
  const auto last = hn::MulSub(square, fraction, square);
  const auto one = hn::Set(DF(), 1.0f);
  return {{hn::Sub(hn::Sub(square, fraction), last), hn::Add(hn::Sub(one, square), last),
           hn::Sub(fraction, last), last}};
}

/// `sum` and, times `weight`, what the four pixels give.
template <int c>
HWY_INLINE VF weighted(const Four& pixels, const Weights& weights, VF weight, VF sum) {
  auto along = hn::Mul(channel<c>(pixels.taps[0]), weights.taps[0]);
  along = hn::MulAdd(channel<c>(pixels.taps[1]), weights.taps[1], along);
  along = hn::MulAdd(channel<c>(pixels.taps[2]), weights.taps[2], along);
  along = hn::MulAdd(channel<c>(pixels.taps[3]), weights.taps[3], along);
  return hn::MulAdd(along, weight, sum);
}

HWY_INLINE std::uint32_t bicubic_block(const AffineRow& row, const std::uint32_t* column_x,
                                       const std::uint32_t* column_y, std::uint8_t* out,
                                       std::size_t stride) {
  const DF d;
  const DU32 d32;
  const auto place_x = place(column_x, row.row_x);
  const auto place_y = place(column_y, row.row_y);
  alignas(64) std::uint32_t index[lanes];
  hn::Store(pixel_index(row, place_x, place_y), d32, index);
  const VF x = fraction(row, place_x);
  const VF y = fraction(row, place_y);
  const Weights across = cubic_weights(x);
  const Weights down = cubic_weights(y);
  const VF start = bias(row);
  Sums sums{start, start, start};
  VU32 differences = hn::Zero(d32);
  VU32 reference = hn::Zero(d32);
  // A fraction of 0 gives the second row all the weight.
  const int first = row.whole_y ? 1 : 0;
  const int last = row.whole_y ? 1 : 3;
  for (int line = first; line <= last; ++line) {
    const std::ptrdiff_t offset = (line - 1) * static_cast<std::ptrdiff_t>(row.pitch) - 1;
    const Four four = load_four(row.pixels + offset, index);
    const VF weight = down.taps[line];
    sums = {weighted<0>(four, across, weight, sums.red),
            weighted<1>(four, across, weight, sums.green),
            weighted<2>(four, across, weight, sums.blue)};
    if (line == first) reference = four.taps[1];
    differences = hn::Or(differences, hn::Xor(four.taps[1], reference));
    if (row.whole_x) continue;
    differences = hn::Or(differences, hn::Xor(four.taps[0], reference));
    differences = hn::Or(differences, hn::Xor(four.taps[2], reference));
    differences = hn::Or(differences, hn::Xor(four.taps[3], reference));
  }
  // What clips is in no doubt.
  const auto clip = [&](VF sum)
                        HWY_ATTR { return hn::Min(hn::Max(sum, hn::Zero(d)), hn::Set(d, 255.0f)); };
  sums = {clip(sums.red), clip(sums.green), clip(sums.blue)};
  if (HWY_LIKELY(!store_sums(row, sums, out, stride))) return 0;
  return doubtful_lanes(row, sums, hn::Or(differences, uncertain(row, x, y)));
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#endif
