#include "resize/kernels.h"

#include <algorithm>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "resize/kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ringfeed::resize {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

constexpr int lanes = 1;

/// The 8 bits that the split weights' sums add up to.
std::uint8_t result(std::uint32_t high, std::uint32_t low, bool clips) {
  if (!clips) {
    using Point = FixedPoint<false>;
    return static_cast<std::uint8_t>(
        (low + (high << Point::high_shift) + std::uint32_t{Point::rounding}) >> 24);
  }
  using Point = FixedPoint<true>;
  const auto sum =
      static_cast<std::int32_t>(low + (high << Point::high_shift) + std::uint32_t{Point::rounding});
  return static_cast<std::uint8_t>(std::clamp(sum >> 22, 0, 255));
}

void horizontal(const HorizontalTable& table, const std::uint8_t* rgb, std::uint8_t* planar) {
  const std::int16_t* weights = table.weights.data();
  for (int x = 0; x < 4 * table.blocks; ++x) {
    std::uint32_t high[3] = {};
    std::uint32_t low[3] = {};
    const std::uint8_t* source = rgb + table.offsets[static_cast<std::size_t>(x)];
    for (int tap = 0; tap < 2 * table.pairs; ++tap, source += 3) {
      const std::int16_t* pair = weights + tap / 2 * 16 + tap % 2;
      for (int c = 0; c < 3; ++c) {
        high[c] += static_cast<std::uint32_t>(source[c] * pair[0]);
        low[c] += static_cast<std::uint32_t>(source[c] * pair[8]);
      }
    }
    weights += table.pairs * 16;
    for (std::size_t c = 0; c < 3; ++c) {
      planar[c * table.stride + static_cast<std::size_t>(x)] = result(high[c], low[c], table.clips);
    }
  }
}

void vertical(const VerticalTable& table, const std::uint8_t* const* rows,
              const std::int32_t* words, std::size_t bytes, std::uint8_t* out) {
  for (std::size_t x = 0; x < bytes; ++x) {
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    for (int p = 0; p < table.pairs; ++p) {
      const int a = rows[2 * p][x];
      const int b = rows[2 * p + 1][x];
      const std::int32_t h = words[2 * p];
      const std::int32_t l = words[2 * p + 1];
      high += static_cast<std::uint32_t>(a * static_cast<std::int16_t>(h) + b * (h >> 16));
      low += static_cast<std::uint32_t>(a * static_cast<std::int16_t>(l) + b * (l >> 16));
    }
    out[x] = result(high, low, table.clips);
  }
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::CappedTag<std::int32_t, 16>;
using DU32 = hn::RebindToUnsigned<D32>;
using D16 = hn::Repartition<std::int16_t, D32>;
using DU16 = hn::RebindToUnsigned<D16>;
using D8 = hn::Repartition<std::uint8_t, D32>;
using V32 = hn::Vec<D32>;
constexpr int lanes = HWY_MIN(HWY_MAX_BYTES, 64) / 16;

/// Exact sums of one vector's split weights. The second halves serve instruction sets whose
/// multiply-add does not pair neighbours (NEON); on x86 they stay zero and vanish.
struct Sums {
  V32 high, high2, low, low2;
};

HWY_INLINE Sums zero_sums() {
  const D32 d;
  return {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
}

HWY_INLINE void accumulate(Sums& sums, hn::Vec<D16> taps, hn::Vec<D16> high, hn::Vec<D16> low) {
  const D32 d;
  sums.high = hn::ReorderWidenMulAccumulate(d, taps, high, sums.high, sums.high2);
  sums.low = hn::ReorderWidenMulAccumulate(d, taps, low, sums.low, sums.low2);
}

/// What the sums add up to, with the result where FixedPoint says.
template <bool clips>
HWY_INLINE V32 total(const Sums& sums) {
  using Point = FixedPoint<clips>;
  const D32 d;
  const V32 high = hn::RearrangeToOddPlusEven(sums.high, sums.high2);
  const V32 low = hn::RearrangeToOddPlusEven(sums.low, sums.low2);
  return hn::Add(hn::Add(low, hn::Set(d, Point::rounding)), hn::ShiftLeft<Point::high_shift>(high));
}

/// The results of lane i of totals a, b, c, d become bytes 4i to 4i + 3.
template <bool clips>
HWY_INLINE hn::Vec<D8> pack(V32 a, V32 b, V32 c, V32 d) {
  if constexpr (clips) {
    const D16 d16;
    const auto clipped = [&](V32 even, V32 odd) HWY_ATTR {
      const auto both = hn::OddEven(hn::BitCast(d16, hn::ShiftRight<6>(odd)),
                                    hn::BitCast(d16, hn::ShiftRight<22>(even)));
      return hn::Min(hn::Max(both, hn::Zero(d16)), hn::Set(d16, std::int16_t{255}));
    };
    return hn::BitCast(D8(), hn::Or(clipped(a, c), hn::ShiftLeft<8>(clipped(b, d))));
  } else {
    // Only three of the six operations need a shuffle or shift port.
    const DU16 d16;
    const DU32 d32;
    const auto even =
        hn::OddEven(hn::BitCast(d16, c), hn::BitCast(d16, hn::ShiftRight<16>(hn::BitCast(d32, a))));
    const auto odd =
        hn::OddEven(hn::BitCast(d16, d), hn::BitCast(d16, hn::ShiftRight<16>(hn::BitCast(d32, b))));
    const auto high_bytes = hn::Set(d16, std::uint16_t{0xFF00});
    return hn::BitCast(D8(), hn::OrAnd(hn::ShiftRight<8>(even), odd, high_bytes));
  }
}

/// 16 bytes from each of as many offsets as the vector has 16-byte blocks.
template <class D>
HWY_INLINE hn::Vec<D> load_blocks(D d, const std::uint8_t* rgb, const std::int32_t* offsets) {
  if constexpr (hn::MaxLanes(D()) > 16) {
    const hn::Half<D> half;
    const auto low = load_blocks(half, rgb, offsets);
    return hn::Combine(d, load_blocks(half, rgb, offsets + hn::MaxLanes(half) / 16), low);
  } else {
    return hn::LoadU(d, rgb + offsets[0]);
  }
}

/// Two neighbouring RGB pixels of each block, widened and paired by channel: R0 R1 G0 G1 B0 B1 0 0.
/// The second table takes pixels 2 and 3.
alignas(16) constexpr std::uint8_t pair_shuffle[2][16] = {
    {0, 0x80, 3, 0x80, 1, 0x80, 4, 0x80, 2, 0x80, 5, 0x80, 0x80, 0x80, 0x80, 0x80},
    {6, 0x80, 9, 0x80, 7, 0x80, 10, 0x80, 8, 0x80, 11, 0x80, 0x80, 0x80, 0x80, 0x80}};

/// One vector's pixels; fixed_pairs = 0 takes the count at run time.
template <int fixed_pairs, bool clips>
HWY_INLINE V32 convolve(int pairs, const std::uint8_t* rgb, const std::int32_t* offsets,
                        const std::int16_t* HWY_RESTRICT weights) {
  const D16 d16;
  const D8 d8;
  constexpr std::size_t n = hn::MaxLanes(D16());
  const auto first = hn::LoadDup128(d8, pair_shuffle[0]);
  const auto second = hn::LoadDup128(d8, pair_shuffle[1]);
  Sums sums = zero_sums();
  const int count = fixed_pairs != 0 ? fixed_pairs : pairs;
  for (int p = 0; p < count; p += 2, rgb += 12) {
    const auto pixels = load_blocks(d8, rgb, offsets);
    accumulate(sums, hn::BitCast(d16, hn::TableLookupBytesOr0(pixels, first)),
               hn::Load(d16, weights), hn::Load(d16, weights + n));
    weights += 2 * n;
    if (fixed_pairs % 2 != 0 && p + 1 == fixed_pairs) break;
    accumulate(sums, hn::BitCast(d16, hn::TableLookupBytesOr0(pixels, second)),
               hn::Load(d16, weights), hn::Load(d16, weights + n));
    weights += 2 * n;
  }
  return total<clips>(sums);
}

template <int fixed_pairs, bool clips>
void horizontal_row(const HorizontalTable& table, const std::uint8_t* rgb,
                    std::uint8_t* HWY_RESTRICT planar) {
  const DU32 d32;
  constexpr std::size_t n = hn::MaxLanes(D16());
  // Lane 4 * pixels + channel to lane channel * (pixels / 4) + pixels / 4: three planes.
  alignas(64) std::int32_t order[16] = {};
  for (int i = 0; i < 4 * lanes; ++i) order[i] = i % lanes * 4 + i / lanes;
  const auto planes = hn::SetTableIndices(d32, order);

  const int pairs = table.pairs;
  const std::int16_t* weights = table.weights.data();
  const std::int32_t* offsets = table.offsets.data();
  const std::size_t step = static_cast<std::size_t>(pairs) * 2 * n;
  for (int block = 0; block < table.blocks; ++block) {
    const auto vector = [&](int v) HWY_ATTR {
      return convolve<fixed_pairs, clips>(pairs, rgb, offsets + v * lanes,
                                          weights + static_cast<std::size_t>(v) * step);
    };
    const auto a = vector(0), b = vector(1), c = vector(2), d = vector(3);
    offsets += 4 * lanes;
    weights += 4 * step;
    alignas(64) std::uint8_t bytes[16 * lanes];
    hn::Store(hn::TableLookupLanes(hn::BitCast(d32, pack<clips>(a, b, c, d)), planes), d32,
              reinterpret_cast<std::uint32_t*>(bytes));
    for (std::size_t channel = 0; channel < 3; ++channel) {
      hwy::CopyBytes<4 * lanes>(bytes + channel * 4 * lanes, planar + channel * table.stride);
    }
    planar += 4 * lanes;
  }
}

template <bool clips>
void horizontal_rows(const HorizontalTable& table, const std::uint8_t* rgb, std::uint8_t* planar) {
  switch (table.pairs) {
    case 1: return horizontal_row<1, clips>(table, rgb, planar);
    case 2: return horizontal_row<2, clips>(table, rgb, planar);
    case 3: return horizontal_row<3, clips>(table, rgb, planar);
    case 5: return horizontal_row<5, clips>(table, rgb, planar);
    case 7: return horizontal_row<7, clips>(table, rgb, planar);
    default: return horizontal_row<0, clips>(table, rgb, planar);
  }
}

void horizontal(const HorizontalTable& table, const std::uint8_t* rgb, std::uint8_t* planar) {
  table.clips ? horizontal_rows<true>(table, rgb, planar)
              : horizontal_rows<false>(table, rgb, planar);
}

template <int fixed_pairs, bool clips>
void vertical_row(const std::uint8_t* const* rows, const std::int32_t* words, int pairs,
                  std::size_t bytes, std::uint8_t* HWY_RESTRICT out) {
  const D8 d8;
  const D16 d16;
  const DU16 du16;
  const D32 d32;
  const DU32 du32;
  const auto low_bytes = hn::Set(du16, std::uint16_t{0x00FF});
  const int count = fixed_pairs != 0 ? fixed_pairs : pairs;
  for (std::size_t x = 0; x < bytes; x += hn::MaxLanes(d8)) {
    Sums s0 = zero_sums(), s1 = zero_sums(), s2 = zero_sums(), s3 = zero_sums();
    for (int p = 0; p < count; ++p) {
      const auto a = hn::BitCast(du32, hn::LoadU(d8, rows[2 * p] + x));
      const auto b = hn::BitCast(du32, hn::LoadU(d8, rows[2 * p + 1] + x));
      // Each 32-bit lane pairs the rows' bytes 0 and 1, then 2 and 3, of its four columns.
      const auto columns01 =
          hn::OddEven(hn::BitCast(du16, hn::ShiftLeft<16>(b)), hn::BitCast(du16, a));
      const auto columns23 =
          hn::OddEven(hn::BitCast(du16, b), hn::BitCast(du16, hn::ShiftRight<16>(a)));
      const auto high = hn::BitCast(d16, hn::Set(d32, words[2 * p]));
      const auto low = hn::BitCast(d16, hn::Set(d32, words[2 * p + 1]));
      accumulate(s0, hn::BitCast(d16, hn::And(columns01, low_bytes)), high, low);
      accumulate(s1, hn::BitCast(d16, hn::ShiftRight<8>(columns01)), high, low);
      accumulate(s2, hn::BitCast(d16, hn::And(columns23, low_bytes)), high, low);
      accumulate(s3, hn::BitCast(d16, hn::ShiftRight<8>(columns23)), high, low);
    }
    hn::StoreU(pack<clips>(total<clips>(s0), total<clips>(s1), total<clips>(s2), total<clips>(s3)),
               d8, out + x);
  }
}

template <bool clips>
void vertical_rows(const VerticalTable& table, const std::uint8_t* const* rows,
                   const std::int32_t* words, std::size_t bytes, std::uint8_t* out) {
  switch (table.pairs) {
    case 1: return vertical_row<1, clips>(rows, words, 1, bytes, out);
    case 2: return vertical_row<2, clips>(rows, words, 2, bytes, out);
    case 3: return vertical_row<3, clips>(rows, words, 3, bytes, out);
    default: return vertical_row<0, clips>(rows, words, table.pairs, bytes, out);
  }
}

void vertical(const VerticalTable& table, const std::uint8_t* const* rows,
              const std::int32_t* words, std::size_t bytes, std::uint8_t* out) {
  table.clips ? vertical_rows<true>(table, rows, words, bytes, out)
              : vertical_rows<false>(table, rows, words, bytes, out);
}

#endif

const ResampleKernels& kernels() {
  static constexpr ResampleKernels table{lanes, &horizontal, &vertical};
  return table;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::resize
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::resize {

HWY_EXPORT(kernels);

const ResampleKernels& resample_kernels() { return HWY_DYNAMIC_DISPATCH(kernels)(); }

}  // namespace ringfeed::resize
#endif
