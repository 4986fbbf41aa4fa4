#include "decode/jpeg/pixels/idct.h"

#include <algorithm>
#include <cstdlib>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/jpeg/pixels/idct.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "decode/jpeg/pixels/vectors-inl.h"

#ifndef RINGFEED_DECODE_JPEG_IDCT_ONCE
#define RINGFEED_DECODE_JPEG_IDCT_ONCE
namespace ringfeed::decode {
namespace {

constexpr int weight_bits = 13;
/// Behind the point, of the values between the passes.
constexpr int between_bits = 2;
constexpr int first_shift = weight_bits - between_bits;
/// A pass makes values sqrt(8) times too large.
constexpr int second_shift = weight_bits + between_bits + 3;

/// Weights of the odd coefficients 1, 3, 5 and 7 in what is added to and subtracted from the even
/// ones' part, of outputs 0 to 3. Sums of libjpeg's rounded constants: its sums of products and
/// these are the same numbers.
constexpr int odd_weights[4][4] = {{11363, 9633, 6437, 2260},
                                   {9633, -2259, -11362, -6436},
                                   {6437, -11362, 2261, 9633},
                                   {2260, -6436, 9633, -11363}};
/// Of coefficients 2 and 6 in outputs 0 and 1.
constexpr int even_weights[2][2] = {{10703, 4433}, {4433, -10704}};

}  // namespace
}  // namespace ringfeed::decode
#endif

HWY_BEFORE_NAMESPACE();
namespace ringfeed::decode {
namespace HWY_NAMESPACE {
namespace {

#if RINGFEED_PIXELS_SCALAR

/// Eight values `step` apart, in place.
void one_dimension(std::int32_t* values, int step, int shift) {
  const auto in = [&](int i) { return values[i * step]; };
  std::int32_t out[8];
  const std::int32_t rounding = 1 << (shift - 1);
  const std::int32_t sum = (in(0) + in(4)) * (1 << weight_bits) + rounding;
  const std::int32_t difference = (in(0) - in(4)) * (1 << weight_bits) + rounding;
  const std::int32_t outer = in(2) * even_weights[0][0] + in(6) * even_weights[0][1];
  const std::int32_t inner = in(2) * even_weights[1][0] + in(6) * even_weights[1][1];
  const std::int32_t even[4] = {sum + outer, difference + inner, difference - inner, sum - outer};
  for (int i = 0; i < 4; ++i) {
    std::int32_t odd = 0;
    for (int k = 0; k < 4; ++k) odd += in(2 * k + 1) * odd_weights[i][k];
    out[i] = (even[i] + odd) >> shift;
    out[7 - i] = (even[i] - odd) >> shift;
  }
  for (int i = 0; i < 8; ++i) values[i * step] = out[i];
}

bool transform(const DctTable& table, const Coefficient* const* blocks, int count,
               std::uint8_t* pixels, std::size_t stride) {
  for (int b = 0; b < count; ++b, pixels += 8) {
    std::int32_t values[block_size];
    for (std::size_t i = 0; i < block_size; ++i) {
      if (std::abs(blocks[b][i]) > table.most[i]) return false;
      values[i] = blocks[b][i] * table.factors[i];
    }
    for (int x = 0; x < 8; ++x) one_dimension(values + x, 8, first_shift);
    for (std::int32_t& value : values) value = std::clamp(value, -0x8000, 0x7FFF);
    for (int y = 0; y < 8; ++y) one_dimension(values + std::ptrdiff_t{8} * y, 1, second_shift);
    for (std::size_t i = 0; i < block_size; ++i) {
      if (std::abs(values[i]) >= DctBounds::pixel) return false;
      pixels[i / 8 * stride + i % 8] =
          static_cast<std::uint8_t>(std::clamp(values[i] + 128, 0, 255));
    }
  }
  return true;
}

#else

constexpr int lanes = static_cast<int>(hn::MaxLanes(D16())) / 8;  // blocks at a time
static_assert(dct_group % lanes == 0);

/// The same row of as many blocks.
template <class D>
HWY_INLINE hn::Vec<D> load_rows(D d, const Coefficient* const* blocks, std::size_t at) {
  if constexpr (hn::MaxLanes(D()) > 8) {
    const hn::Half<D> half;
    const auto low = load_rows(half, blocks, at);
    return hn::Combine(d, load_rows(half, blocks + hn::MaxLanes(half) / 8, at), low);
  } else {
    return hn::LoadU(d, blocks[0] + at);
  }
}

/// Half of the lanes: first * a + second * b, `pair` being a and b in turns.
HWY_INLINE V32 weighted(V16 pair, int first, int second) {
  const auto both = static_cast<std::uint32_t>(first & 0xFFFF) | static_cast<std::uint32_t>(second)
                                                                     << 16;
  return sum_of_products(pair, hn::BitCast(D16(), hn::Set(hn::RebindToUnsigned<D32>(), both)));
}

/// Half of the lanes of the eight outputs. The pairs: coefficients 0 and 4, 2 and 6, 1 and 3, 5
/// and 7. `few`: coefficients 4 to 7 are 0.
template <int shift, bool few>
HWY_INLINE void half_of_pass(V16 pair04, V16 pair26, V16 pair13, V16 pair57, V32 (&out)[8]) {
  const auto rounding = hn::Set(D32(), 1 << (shift - 1));
  constexpr int one = 1 << weight_bits;
  const V32 sum = hn::Add(weighted(pair04, one, one), rounding);
  const V32 difference = few ? sum : hn::Add(weighted(pair04, one, -one), rounding);
  const V32 outer = weighted(pair26, even_weights[0][0], even_weights[0][1]);
  const V32 inner = weighted(pair26, even_weights[1][0], even_weights[1][1]);
  const V32 even[4] = {hn::Add(sum, outer), hn::Add(difference, inner), hn::Sub(difference, inner),
                       hn::Sub(sum, outer)};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    V32 odd = weighted(pair13, odd_weights[i][0], odd_weights[i][1]);
    if (!few) odd = hn::Add(odd, weighted(pair57, odd_weights[i][2], odd_weights[i][3]));
    out[i] = hn::ShiftRight<shift>(hn::Add(even[i], odd));
    out[7 - i] = hn::ShiftRight<shift>(hn::Sub(even[i], odd));
  }
}

/// The transform of each lane's eight values, of which the last four are 0 where there are `few`.
/// `half`: lanes 4 to 7 of each 128 bits are 0, and stay so.
template <int shift, bool few, bool half>
HWY_INLINE void pass(V16 (&v)[8]) {
  const D16 d;
  V32 low[8], high[8];
  half_of_pass<shift, few>(hn::InterleaveLower(d, v[0], v[4]), hn::InterleaveLower(d, v[2], v[6]),
                           hn::InterleaveLower(d, v[1], v[3]), hn::InterleaveLower(d, v[5], v[7]),
                           low);
  if (!half) {
    half_of_pass<shift, few>(hn::InterleaveUpper(d, v[0], v[4]), hn::InterleaveUpper(d, v[2], v[6]),
                             hn::InterleaveUpper(d, v[1], v[3]), hn::InterleaveUpper(d, v[5], v[7]),
                             high);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    v[i] = hn::ReorderDemote2To(d, low[i], half ? hn::Zero(D32()) : high[i]);
  }
}

/// Within each 128 bits: lower halves in turns, upper halves in turns, in lanes of D.
template <class D, class V>
HWY_INLINE void interleave(D d, V& a, V& b) {
  const auto x = hn::BitCast(d, a), y = hn::BitCast(d, b);
  a = hn::BitCast(hn::DFromV<V>(), hn::InterleaveLower(d, x, y));
  b = hn::BitCast(hn::DFromV<V>(), hn::InterleaveUpper(d, x, y));
}

/// Lane x of v[y] becomes lane y of v[x].
HWY_INLINE void transpose(V16 (&v)[8]) {
  const D16 d16;
  const D32 d32;
  const hn::Repartition<std::int64_t, D16> d64;
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) interleave(d16, v[i], v[i + 1]);
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    interleave(d32, v[i], v[i + 2]);
    interleave(d32, v[i + 1], v[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) interleave(d64, v[i], v[i + 4]);
  const V16 columns[8] = {v[0], v[4], v[2], v[6], v[1], v[5], v[3], v[7]};
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) v[i] = columns[i];
}

/// Columns of values around 0 become rows of bytes around 128.
HWY_INLINE void store(const V16 (&v)[8], std::uint8_t* pixels, std::size_t stride) {
  const D8 d8;
  const D16 d16;
  const D32 d32;
  const hn::Repartition<std::uint64_t, D16> d64;
  V8 a = pack(v[0], v[2]), b = pack(v[1], v[3]), c = pack(v[4], v[6]), d = pack(v[5], v[7]);
  interleave(d8, a, b);   // columns 0 and 1; 2 and 3
  interleave(d8, c, d);   // 4 and 5; 6 and 7
  interleave(d16, a, b);  // 0 to 3, of rows 0 to 3; of rows 4 to 7
  interleave(d16, c, d);
  interleave(d32, a, c);  // rows 0 and 1; 2 and 3
  interleave(d32, b, d);  // 4 and 5; 6 and 7
  const V8 upper[2] = {a, b}, lower[2] = {c, d};
#pragma GCC unroll 2
  for (std::size_t i = 0; i < 2; ++i) {
    const auto x = hn::BitCast(d64, upper[i]), y = hn::BitCast(d64, lower[i]);
    const auto even = hn::BitCast(d8, hn::ConcatEven(d64, y, x));
    const auto odd = hn::BitCast(d8, hn::ConcatOdd(d64, y, x));
    const hn::Half<D8> half;
    std::uint8_t* const row = pixels + 4 * i * stride;
    hn::StoreU(hn::LowerHalf(half, even), half, row);
    hn::StoreU(hn::LowerHalf(half, odd), half, row + stride);
    hn::StoreU(hn::UpperHalf(half, even), half, row + 2 * stride);
    hn::StoreU(hn::UpperHalf(half, odd), half, row + 3 * stride);
  }
}

/// Of all the lanes' magnitudes the bits.
HWY_INLINE V16 magnitudes(const V16 (&v)[8]) {
  V16 all = hn::Abs(v[0]);
#pragma GCC unroll 7
  for (int i = 1; i < 8; ++i) all = hn::Or(all, hn::Abs(v[i]));
  return all;
}

/// Whether all coefficients but the first four of the first four rows are 0. Of smooth regions they
/// are: nearly half of a large photo's groups take a third less time.
HWY_INLINE bool are_few(const V16 (&v)[8]) {
  const D16 d;
  alignas(16) static constexpr std::int16_t right[8] = {0, 0, 0, 0, -1, -1, -1, -1};
  const V16 upper = hn::Or(hn::Or(v[0], v[1]), hn::Or(v[2], v[3]));
  const V16 lower = hn::Or(hn::Or(v[4], v[5]), hn::Or(v[6], v[7]));
  return hn::AllTrue(d,
                     hn::Eq(hn::Or(lower, hn::And(upper, hn::LoadDup128(d, right))), hn::Zero(d)));
}

template <bool few>
HWY_INLINE void two_passes(V16 (&v)[8]) {
  if (few) {
    const V16 zero = hn::Zero(D16());
    v[4] = v[5] = v[6] = v[7] = zero;
  }
  pass<first_shift, few, few>(v);
  transpose(v);
  pass<second_shift, few, false>(v);
}

bool transform(const DctTable& table, const Coefficient* const* blocks, int count,
               std::uint8_t* pixels, std::size_t stride) {
  const D16 d;
  const hn::RebindToUnsigned<D16> du;
  auto too_large = hn::Zero(du);
  V16 levels = hn::Zero(d);
  for (int b = 0; b < count; b += lanes, pixels += 8 * lanes) {
    V16 v[8];
#pragma GCC unroll 8
    for (std::size_t i = 0; i < 8; ++i) {
      const V16 row = load_rows(d, blocks + b, 8 * i);
      const auto most = hn::LoadDup128(du, table.most.data() + 8 * i);
      too_large = hn::Or(too_large, hn::SaturatedSub(hn::BitCast(du, hn::Abs(row)), most));
      v[i] = hn::Mul(row, hn::LoadDup128(d, table.factors.data() + 8 * i));
    }
    are_few(v) ? two_passes<true>(v) : two_passes<false>(v);
    levels = hn::Or(levels, magnitudes(v));
    const V16 middle = hn::Set(d, std::int16_t{128});
#pragma GCC unroll 8
    for (auto& column : v) column = hn::Add(column, middle);
    store(v, pixels, stride);
  }
  const auto outside =
      hn::Or(hn::BitCast(d, too_large),
             hn::And(levels, hn::Set(d, static_cast<std::int16_t>(-DctBounds::pixel))));
  return hn::AllTrue(d, hn::Eq(outside, hn::Zero(d)));
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::decode
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::decode {

HWY_EXPORT(transform);

void DctTable::set(const JQUANT_TBL& table) {
  for (std::size_t i = 0; i < block_size; ++i) {
    factors[i] = static_cast<std::int16_t>(table.quantval[i]);
    const int factor = std::abs(int{factors[i]});
    most[i] =
        static_cast<std::uint16_t>(factor == 0 ? 0xFFFF : (DctBounds::coefficient - 1) / factor);
  }
}

bool inverse_dct(const DctTable& table, const Coefficient* const* blocks, int count,
                 std::uint8_t* pixels, std::size_t stride) {
  return HWY_DYNAMIC_DISPATCH(transform)(table, blocks, count, pixels, stride);
}

}  // namespace ringfeed::decode
#endif
