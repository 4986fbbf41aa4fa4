// Vector code that the kernels of several files share: included once per instruction set.
#if defined(RINGFEED_AUGMENT_BLEND_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef RINGFEED_AUGMENT_BLEND_INL_H
#undef RINGFEED_AUGMENT_BLEND_INL_H
#else
#define RINGFEED_AUGMENT_BLEND_INL_H
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "augment/blend.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET != HWY_SCALAR && HWY_TARGET != HWY_EMU128 && !HWY_HAVE_SCALABLE

namespace hn = hwy::HWY_NAMESPACE;

using Bytes = hn::CappedTag<std::uint8_t, 64>;
template <class D8>
using Words = hn::Repartition<std::uint16_t, D8>;
template <class D8>
using Floats = hn::Repartition<float, D8>;

// Bytes widen to the even and the odd ones, words likewise: that needs no shuffle, and no order of
// lanes that differs between instruction sets.

template <class D8>
struct Pair {
  hn::Vec<Words<D8>> even, odd;
};

template <class D8>
HWY_INLINE Pair<D8> widen(D8, hn::Vec<D8> bytes) {
  const Words<D8> d;
  const auto words = hn::BitCast(d, bytes);
  return {hn::And(words, hn::Set(d, std::uint16_t{255})), hn::ShiftRight<8>(words)};
}

/// Of words below 256.
template <class D8>
HWY_INLINE hn::Vec<D8> narrow(D8 d, const Pair<D8>& words) {
  return hn::BitCast(d, hn::Or(words.even, hn::ShiftLeft<8>(words.odd)));
}

template <class D8>
struct FloatPair {
  hn::Vec<Floats<D8>> even, odd;
};

/// Words below 0x8000.
template <class D8>
HWY_INLINE FloatPair<D8> to_floats(D8, hn::Vec<Words<D8>> words) {
  const Floats<D8> d;
  const hn::RebindToSigned<Floats<D8>> d32;
  const auto both = hn::BitCast(d32, words);
  return {hn::ConvertTo(d, hn::And(both, hn::Set(d32, 0xFFFF))),
          hn::ConvertTo(d, hn::BitCast(d32, hn::ShiftRight<16>(hn::BitCast(
                                                hn::RebindToUnsigned<decltype(d32)>(), both))))};
}

/// 65536 times signed words: their signs come for nothing.
template <class D8>
HWY_INLINE FloatPair<D8> to_scaled_floats(D8, hn::Vec<Words<D8>> words) {
  const Floats<D8> d;
  const hn::RebindToSigned<Floats<D8>> d32;
  const auto both = hn::BitCast(d32, words);
  return {hn::ConvertTo(d, hn::ShiftLeft<16>(both)),
          hn::ConvertTo(d, hn::And(both, hn::Set(d32, std::int32_t{-65536})))};
}

/// Words of the floors, which need 16 bits: adding 1.5 * 2^23 leaves them in the mantissa.
/// Highway's conversion costs three instructions more to saturate, which no value here needs.
template <class D8>
HWY_INLINE hn::Vec<Words<D8>> floors(D8, const FloatPair<D8>& values) {
  const Floats<D8> d;
  const Words<D8> words;
  const hn::Repartition<std::uint32_t, D8> d32;
  const auto magic = hn::Set(d, 0x1.8p23f);
  const auto even = hn::Add(hn::Floor(values.even), magic);
  const auto odd = hn::Add(hn::Floor(values.odd), magic);
  return hn::OddEven(hn::BitCast(words, hn::ShiftLeft<16>(hn::BitCast(d32, odd))),
                     hn::BitCast(words, even));
}

// A Blend of bytes as words. Those in float need the sum between 0 and 255 before its floor.

template <bool clips>
struct BlendInFloat {
  float scale;  ///< the factor / 65536

  explicit BlendInFloat(const Blend& by) : scale(by.factor / 65536) {}

  template <class D8>
  HWY_INLINE hn::Vec<Words<D8>> words(D8 d8, hn::Vec<Words<D8>> base,
                                      hn::Vec<Words<D8>> value) const {
    const Floats<D8> d;
    const auto from = to_floats(d8, base);
    const auto difference = to_scaled_floats(d8, hn::Sub(value, base));
    const auto blended = [&](hn::Vec<Floats<D8>> start, hn::Vec<Floats<D8>> way) HWY_ATTR {
      const auto sum = hn::Add(start, hn::Mul(way, hn::Set(d, scale)));
      if constexpr (!clips) return sum;
      return hn::Min(hn::Max(sum, hn::Zero(d)), hn::Set(d, 255.0f));
    };
    return floors(
        d8, FloatPair<D8>{blended(from.even, difference.even), blended(from.odd, difference.odd)});
  }
};

template <bool clips>
struct BlendInWords {
  const Blend& by;

  explicit BlendInWords(const Blend& blend) : by(blend) {}

  template <class D8>
  HWY_INLINE hn::Vec<Words<D8>> words(D8, hn::Vec<Words<D8>> base, hn::Vec<Words<D8>> value) const {
    const Words<D8> d;
    const hn::RebindToSigned<Words<D8>> di;
    const auto difference = hn::BitCast(di, hn::Sub(value, base));
    const auto start =
        hn::Add(hn::ShiftLeftSame(hn::BitCast(di, base), by.shift), hn::Set(di, by.bias));
    const auto way = hn::Add(hn::Mul(difference, hn::Set(di, by.high)),
                             hn::MulHigh(difference, hn::Set(di, by.low)));
    auto sum = hn::Add(start, way);
    if constexpr (clips) {
      const auto most = static_cast<std::int16_t>((256 << by.shift) - 1);
      sum = hn::Min(hn::Max(sum, hn::Zero(di)), hn::Set(di, most));
    }
    return hn::ShiftRightSame(hn::BitCast(d, sum), by.shift);
  }
};

template <class Blender, class D8>
HWY_INLINE hn::Vec<D8> blend_bytes(D8 d, const Blender& blender, const Pair<D8>& base,
                                   const Pair<D8>& value) {
  return narrow(
      d, Pair<D8>{blender.words(d, base.even, value.even), blender.words(d, base.odd, value.odd)});
}

/// use(blender), with the right one of the four.
template <class Use>
HWY_INLINE void with_blender(const Blend& by, const Use& use) {
  if (by.in_words) {
    by.clips ? use(BlendInWords<true>(by)) : use(BlendInWords<false>(by));
  } else {
    by.clips ? use(BlendInFloat<true>(by)) : use(BlendInFloat<false>(by));
  }
}

/// op(tag, offset) for vectors of `stride` bytes, a multiple of 16, and of no byte behind them.
template <class Op>
HWY_INLINE void for_each_vector(std::size_t stride, const Op& op) {
  const Bytes d;
  std::size_t x = 0;
  for (; x + hn::MaxLanes(d) <= stride; x += hn::MaxLanes(d)) op(d, x);
  for (; x < stride; x += 16) op(hn::CappedTag<std::uint8_t, 16>(), x);
}

/// table[index], of 256 bytes.
template <class D8>
HWY_INLINE hn::Vec<D8> look_up_bytes(D8 d, const std::uint8_t* table, hn::Vec<D8> index) {
  const hn::RebindToSigned<D8> di;
  const Words<D8> words;
  const auto low = hn::And(index, hn::Set(d, std::uint8_t{15}));
  // Where bits 4 to 7 of the index are set. IfNegativeThenElse would want no comparison, but
  // Highway 1.0.3's is wrong for bytes on SSSE3.
  const auto sign = [&](hn::Vec<Words<D8>> shifted) HWY_ATTR {
    return hn::RebindMask(d, hn::Lt(hn::BitCast(di, shifted), hn::Zero(di)));
  };
  const auto indices = hn::BitCast(words, index);
  const auto bit7 = sign(indices);
  const auto bit6 = sign(hn::ShiftLeft<1>(indices));
  const auto bit5 = sign(hn::ShiftLeft<2>(indices));
  const auto bit4 = sign(hn::ShiftLeft<3>(indices));
  using V = hn::Vec<D8>;
  const auto two = [&](int k) HWY_ATTR -> V {
    const auto a = hn::TableLookupBytes(hn::LoadDup128(d, table + 16 * k), low);
    const auto b = hn::TableLookupBytes(hn::LoadDup128(d, table + 16 * k + 16), low);
    return hn::IfThenElse(bit4, b, a);
  };
  const auto four = [&](int k) HWY_ATTR -> V {
    const V a = two(k), b = two(k + 2);
    return hn::IfThenElse(bit5, b, a);
  };
  const auto eight = [&](int k) HWY_ATTR -> V {
    const V a = four(k), b = four(k + 4);
    return hn::IfThenElse(bit6, b, a);
  };
  const V a = eight(0), b = eight(8);
  return hn::IfThenElse(bit7, b, a);
}

#else

HWY_INLINE std::uint8_t blend_byte(int base, int value, const Blend& by) {
  const float product = by.factor * static_cast<float>(value - base);
  const float sum = static_cast<float>(base) + product;
  return sum <= 0 ? 0 : sum >= 255 ? 255 : static_cast<std::uint8_t>(sum);
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#endif
