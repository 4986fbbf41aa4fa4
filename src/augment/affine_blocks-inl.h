// What the affine operations share: included once per instruction set.

#if defined(RINGFEED_AUGMENT_AFFINE_BLOCKS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef RINGFEED_AUGMENT_AFFINE_BLOCKS_INL_H
#undef RINGFEED_AUGMENT_AFFINE_BLOCKS_INL_H
#else
#define RINGFEED_AUGMENT_AFFINE_BLOCKS_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "augment/affine_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 && !HWY_HAVE_SCALABLE

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using DU32 = hn::RebindToUnsigned<DF>;
using DI32 = hn::RebindToSigned<DF>;
using DU64 = hn::Repartition<std::uint64_t, DF>;
using DU16 = hn::Repartition<std::uint16_t, DF>;
using DU8 = hn::Repartition<std::uint8_t, DF>;
using VF = hn::Vec<DF>;
using VU32 = hn::Vec<DU32>;
constexpr int lanes = hn::MaxLanes(DF());

/// RGBX pixels, X being anything, to the three planes.
HWY_INLINE void store_planes(VU32 pixels, std::uint8_t* out, std::size_t stride) {
  const DU32 d;
  const DU8 d8;
  alignas(16) constexpr std::uint8_t by_channel[16] = {0, 4, 8,  12, 1, 5, 9,  13,
                                                       2, 6, 10, 14, 3, 7, 11, 15};
  alignas(64) std::int32_t order[lanes];
  for (int i = 0; i < lanes; ++i) order[i] = i % (lanes / 4) * 4 + i / (lanes / 4);
  const auto blocks = hn::TableLookupBytes(hn::BitCast(d8, pixels), hn::LoadDup128(d8, by_channel));
  alignas(64) std::uint8_t bytes[4 * lanes];
  hn::Store(hn::TableLookupLanes(hn::BitCast(d, blocks), hn::SetTableIndices(d, order)), d,
            reinterpret_cast<std::uint32_t*>(bytes));
  for (std::size_t c = 0; c < 3; ++c) hwy::CopyBytes<lanes>(bytes + c * lanes, out + c * stride);
}

HWY_INLINE VU32 pixel_index(const AffineRow& row, VU32 x, VU32 y) {
  const DU32 d;
  return hn::Add(hn::Mul(hn::ShiftRightSame(y, row.shift), hn::Set(d, row.pitch)),
                 hn::ShiftRightSame(x, row.shift));
}

HWY_INLINE VU32 place(const std::uint32_t* columns, std::uint32_t row) {
  const DU32 d;
  return hn::Add(hn::LoadU(d, columns), hn::Set(d, row));
}

HWY_INLINE VF fraction(const AffineRow& row, VU32 place) {
  const DF d;
  const auto bits = hn::And(place, hn::Set(DU32(), (1u << row.shift) - 1));
  return hn::Mul(hn::ConvertTo(d, hn::BitCast(DI32(), bits)),
                 hn::Set(d, 1.0f / static_cast<float>(1u << row.shift)));
}

/// Channel c of RGBX pixels with X = 0.
template <int c>
HWY_INLINE VU32 channel_bits(VU32 pixels) {
  const DU32 d;
  if constexpr (c == 0) return hn::And(pixels, hn::Set(d, 0xFF));
  if constexpr (c == 1) return hn::And(hn::ShiftRight<8>(pixels), hn::Set(d, 0xFF));
  return hn::ShiftRight<16>(pixels);
}

template <int c>
HWY_INLINE VF channel(VU32 pixels) {
  return hn::ConvertTo(DF(), hn::BitCast(DI32(), channel_bits<c>(pixels)));
}

/// The three channels' sums, to which bias() was added: with the margin on top and a half taken
/// off, rounding to nearest is truncation, and a result in doubt lies just above a half.
struct Sums {
  VF red, green, blue;
};

HWY_INLINE VF bias(const AffineRow& row) { return hn::Set(DF(), row.margin - 0.5f); }

/// Around this, 1.5 * 2^23, floats are the integers, and their last byte is the integer's.
HWY_INLINE VF integers() { return hn::Set(DF(), 12582912.0f); }

HWY_INLINE VF above_integer(VF sums) {
  return hn::Sub(sums, hn::Sub(hn::Add(sums, integers()), integers()));
}

/// Stores the results. Returns whether any is in doubt.
HWY_INLINE bool store_sums(const AffineRow& row, const Sums& sums, std::uint8_t* out,
                           std::size_t stride) {
  const DF d;
  const DU16 d16;
  const DU32 d32;
  const auto red = hn::BitCast(d16, hn::Add(sums.red, integers()));
  const auto green = hn::BitCast(d32, hn::Add(sums.green, integers()));
  const auto blue = hn::BitCast(d32, hn::Add(sums.blue, integers()));
  // The integers' second bytes are 0.
  const auto both = hn::OddEven(hn::BitCast(d16, hn::ShiftLeft<16>(blue)), red);
  store_planes(hn::Or(hn::BitCast(d32, both), hn::ShiftLeft<8>(green)), out, stride);
  const auto least = hn::Min(hn::Min(above_integer(sums.red), above_integer(sums.green)),
                             above_integer(sums.blue));
  return !hn::AllFalse(d, hn::Lt(least, hn::Set(d, 2 * row.margin - 0.5f)));
}

/// All bits where the fixed-point place may be on the other side of an integer than that in double:
/// the filter then looks at one pixel more, which could differ.
HWY_INLINE VU32 uncertain(const AffineRow& row, VF x, VF y) {
  const DF d;
  const float units = 4.0f / static_cast<float>(1u << row.shift);
  const auto near = [&](VF fraction) HWY_ATTR {
    return hn::VecFromMask(
        d, hn::Or(hn::Lt(fraction, hn::Set(d, units)), hn::Gt(fraction, hn::Set(d, 1.0f - units))));
  };
  const auto near_x = row.whole_x ? hn::Zero(d) : near(x);
  const auto near_y = row.whole_y ? hn::Zero(d) : near(y);
  return hn::BitCast(DU32(), hn::Or(near_x, near_y));
}

/// The lanes in doubt as bits, less those that see one value only, which is then the result.
/// `differences` are the bits in which the pixels looked at differ.
HWY_INLINE std::uint32_t doubtful_lanes(const AffineRow& row, const Sums& sums, VU32 differences) {
  const DF d;
  const DU32 d32;
  const auto doubtful = [&](VF sum, VU32 bits) HWY_ATTR {
    return hn::And(hn::Lt(above_integer(sum), hn::Set(d, 2 * row.margin - 0.5f)),
                   hn::RebindMask(d, hn::Ne(bits, hn::Zero(d32))));
  };
  const auto any = hn::Or(hn::Or(doubtful(sums.red, channel_bits<0>(differences)),
                                 doubtful(sums.green, channel_bits<1>(differences))),
                          doubtful(sums.blue, channel_bits<2>(differences)));
  std::uint8_t bytes[8] = {};
  hn::StoreMaskBits(d, any, bytes);
  return static_cast<std::uint32_t>(bytes[0] | bytes[1] << 8);
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#endif
