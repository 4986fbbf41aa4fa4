#include "augment/hue.h"

#include <algorithm>
#include <array>
#include <cmath>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/hue.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "augment/blend-inl.h"

#ifndef RINGFEED_AUGMENT_HUE_TABLE
#define RINGFEED_AUGMENT_HUE_TABLE
namespace ringfeed::augment {

// Pillow's hue is the floor of 255 * fraction(h / 6 + 1), where h = 0, 2 or 4, by the largest
// channel, + (difference of the others) / range. That is 42.5 * difference / range + 0, 85 or 170,
// modulo 255. Wherever it is no whole number it is at least 1/510 from one, so that any rounding
// gives the same floor. Where it is one, Pillow's roundings leave some at one less: which ones
// depends on the hue alone.
/// Bit hue % 8 of byte hue / 8 for each.
inline std::array<std::uint8_t, 32> hues_less_one() {
  std::array<std::uint8_t, 32> bits{};
  for (int sector = 0; sector < 3; ++sector) {
    for (int step = -42; step <= 42; ++step) {
      // A difference of 2 * step and a range of 85: the hue is whole, and h this without its
      // sector.
      const float inner = static_cast<float>(85 - 2 * std::abs(step)) / 85.0f;
      const double first = step >= 0 ? 1.0 : double{inner};
      const double second = step >= 0 ? double{inner} : 1.0;
      const auto h = static_cast<float>(2.0 * sector + first - second);
      const auto part = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
      const int hue = (85 * sector + step + 255) % 255;
      if (static_cast<int>(part * 255.0) == hue) continue;
      bits[static_cast<std::size_t>(hue / 8)] |= static_cast<std::uint8_t>(1 << hue % 8);
    }
  }
  return bits;
}

}  // namespace ringfeed::augment
#endif

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

// Back from HSV, with i = hue * 6 / 255 and its remainder's 85ths F: value * (1 - saturation / 255)
// and value * (1 - saturation / 255 * F / 85), or 85 - F for even i, both rounded. Their exact
// values are far enough from halves for the roundings on the way not to matter: all 2^24 are equal.

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

void shift_pixel(std::uint8_t* pixel, std::size_t stride, int shift, const std::uint8_t* less_one) {
  const int r = pixel[0], g = pixel[stride], b = pixel[2 * stride];
  const int v = std::max({r, g, b});
  const int range = v - std::min({r, g, b});
  if (range == 0) return;
  const int difference = r == v ? g - b : g == v ? b - r : r - g;
  const int sector = r == v ? (g < b ? 3 : 0) : g == v ? 1 : 2;
  // In 510ths of the circle.
  const int twice = 85 * difference + 170 * sector * range;
  int hue = twice / (2 * range);
  if (twice % (2 * range) == 0 && (less_one[hue / 8] >> hue % 8 & 1) != 0) --hue;
  hue = (hue + shift) & 255;
  const int s = static_cast<int>(255.0f * (static_cast<float>(range) / static_cast<float>(v)));
  const int i = 2 * hue / 85;
  const int rest = i % 2 == 1 ? 2 * hue % 85 : 85 - 2 * hue % 85;
  const int p = (2 * v * (255 - s) + 255) / 510;
  const int x = (2 * v * (21675 - s * rest) + 21675) / 43350;
  const std::uint8_t values[3] = {static_cast<std::uint8_t>(v), static_cast<std::uint8_t>(x),
                                  static_cast<std::uint8_t>(p)};
  constexpr std::uint8_t orders[7][3] = {{0, 1, 2}, {1, 0, 2}, {2, 0, 1}, {2, 1, 0},
                                         {1, 2, 0}, {0, 2, 1}, {0, 1, 2}};
  for (std::size_t c = 0; c < 3; ++c) pixel[c * stride] = values[orders[i][c]];
}

void shift_row(std::uint8_t* row, std::size_t stride, std::uint8_t shift,
               const std::uint8_t* less_one) {
  for (std::size_t x = 0; x < stride; ++x) shift_pixel(row + x, stride, shift, less_one);
}

#else

template <class D8>
struct Hsv {
  hn::Vec<D8> hue, saturation, value;
};

/// Where the quotients of two pairs are whole, all bits of a word.
template <class D8>
HWY_INLINE hn::Vec<Words<D8> > whole(D8, const FloatPair<D8>& values) {
  const Floats<D8> d;
  const Words<D8> words;
  const auto is_whole = [&](hn::Vec<Floats<D8> > v) HWY_ATTR {
    return hn::BitCast(words, hn::VecFromMask(d, hn::Eq(v, hn::Floor(v))));
  };
  return hn::OddEven(is_whole(values.odd), is_whole(values.even));
}

/// 255 for each index that is set among 256 bits.
template <class D8>
HWY_INLINE hn::Vec<D8> set_bits(D8 d, const std::uint8_t* bits, hn::Vec<D8> index) {
  const hn::RebindToSigned<D8> di;
  alignas(16) constexpr std::uint8_t powers[16] = {1, 2, 4, 8, 16, 32, 64, 128};
  const auto byte = hn::And(hn::BitCast(d, hn::ShiftRight<3>(hn::BitCast(Words<D8>(), index))),
                            hn::Set(d, std::uint8_t{15}));
  const auto upper = hn::RebindMask(d, hn::Lt(hn::BitCast(di, index), hn::Zero(di)));
  const auto bytes = hn::IfThenElse(upper, hn::TableLookupBytes(hn::LoadDup128(d, bits + 16), byte),
                                    hn::TableLookupBytes(hn::LoadDup128(d, bits), byte));
  const auto bit =
      hn::TableLookupBytes(hn::LoadDup128(d, powers), hn::And(index, hn::Set(d, std::uint8_t{7})));
  return hn::VecFromMask(d, hn::TestBit(bytes, bit));
}

template <class D8>
HWY_INLINE Hsv<D8> to_hsv(D8 d, hn::Vec<D8> r, hn::Vec<D8> g, hn::Vec<D8> b,
                          const std::uint8_t* less_one) {
  const Floats<D8> floats;
  const auto value = hn::Max(r, hn::Max(g, b));
  const auto range = hn::Sub(value, hn::Min(r, hn::Min(g, b)));
  const auto red = hn::Eq(r, value);
  const auto green = hn::Eq(g, value);
  const auto first = hn::IfThenElse(red, g, hn::IfThenElse(green, b, r));
  const auto second = hn::IfThenElse(red, b, hn::IfThenElse(green, r, g));
  const auto negative = hn::AndNot(hn::VecFromMask(d, hn::Eq(hn::Max(first, second), first)),
                                   hn::Set(d, std::uint8_t{255}));
  const auto sector = hn::IfThenElse(
      red, negative,
      hn::IfThenElse(green, hn::Set(d, std::uint8_t{85}), hn::Set(d, std::uint8_t{170})));
  // A grey pixel's difference is 0, and so are its hue and saturation, divided by anything.
  const auto one = hn::Set(d, std::uint8_t{1});
  const auto ranges = widen(d, range);
  const auto divisors = widen(d, hn::Max(range, one));
  const auto values = widen(d, hn::Max(value, one));
  const auto firsts = widen(d, first);
  const auto seconds = widen(d, second);
  const auto hue_factor = hn::Set(floats, 42.5f / 65536);
  const auto full = hn::Set(floats, 255.0f);

  Pair<D8> steps, wholes, saturations;
  const auto half = [&](auto a, auto b2, auto spread, auto divisor, auto largest, auto& step,
                        auto& is_whole, auto& saturation) HWY_ATTR {
    const auto difference = to_scaled_floats(d, hn::Sub(a, b2));
    const auto by = to_floats(d, divisor);
    const FloatPair<D8> hues{hn::Div(hn::Mul(difference.even, hue_factor), by.even),
                             hn::Div(hn::Mul(difference.odd, hue_factor), by.odd)};
    step = floors(d, hues);
    is_whole = whole(d, hues);
    const auto part = to_floats(d, spread);
    const auto of = to_floats(d, largest);
    saturation = floors(d, FloatPair<D8>{hn::Mul(hn::Div(part.even, of.even), full),
                                         hn::Mul(hn::Div(part.odd, of.odd), full)});
  };
  half(firsts.even, seconds.even, ranges.even, divisors.even, values.even, steps.even, wholes.even,
       saturations.even);
  half(firsts.odd, seconds.odd, ranges.odd, divisors.odd, values.odd, steps.odd, wholes.odd,
       saturations.odd);
  // Steps below 0 are words: their low bytes do modulo 256.
  const auto low = hn::Set(Words<D8>(), std::uint16_t{255});
  steps.even = hn::And(steps.even, low);
  wholes.even = hn::And(wholes.even, low);
  const auto hue = hn::Add(sector, narrow(d, steps));
  const auto less = hn::And(narrow(d, wholes), set_bits(d, less_one, hue));
  return {hn::Add(hue, less), narrow(d, saturations), value};
}

template <class D8>
HWY_INLINE void to_rgb(D8 d, const Hsv<D8>& hsv, hn::Vec<D8>* rgb) {
  const Words<D8> words;
  const Floats<D8> floats;
  const auto hues = widen(d, hsv.hue);
  const auto saturations = widen(d, hsv.saturation);
  const auto values = widen(d, hsv.value);
  const auto word = [&](int v) HWY_ATTR { return hn::Set(words, static_cast<std::uint16_t>(v)); };
  const auto divisor = hn::Set(floats, 1.0f / 21675);
  const auto rounding = hn::Set(floats, 10837.5f);

  Pair<D8> sixths, lows, middles;
  const auto half = [&](auto hue, auto s, auto v, auto& sixth, auto& p, auto& x) HWY_ATTR {
    const auto twice = hn::Add(hue, hue);
    sixth = hn::MulHigh(twice, word(772));  // twice / 85
    const auto rest = hn::Sub(twice, hn::Mul(sixth, word(85)));
    const auto odd = hn::Eq(hn::And(sixth, word(1)), word(1));
    const auto part = hn::IfThenElse(odd, rest, hn::Sub(word(85), rest));
    const auto low = hn::Add(hn::Mul(v, hn::Sub(word(255), s)), word(128));
    p = hn::ShiftRight<8>(hn::Add(low, hn::ShiftRight<8>(low)));  // low / 255
    const auto by = to_floats(d, hn::Sub(word(21675), hn::Mul(s, part)));
    const auto value = to_floats(d, v);
    x = floors(d, FloatPair<D8>{hn::Mul(hn::Add(hn::Mul(value.even, by.even), rounding), divisor),
                                hn::Mul(hn::Add(hn::Mul(value.odd, by.odd), rounding), divisor)});
  };
  half(hues.even, saturations.even, values.even, sixths.even, lows.even, middles.even);
  half(hues.odd, saturations.odd, values.odd, sixths.odd, lows.odd, middles.odd);
  const auto sixth = narrow(d, sixths);
  const auto low = narrow(d, lows);
  const auto middle = narrow(d, middles);

  // Which sixths give a channel the value, and which the low one.
  alignas(16) constexpr std::uint8_t full[3][16] = {
      {255, 0, 0, 0, 0, 255, 255}, {0, 255, 255, 0, 0, 0, 0}, {0, 0, 0, 255, 255, 0, 0}};
  alignas(16) constexpr std::uint8_t least[3][16] = {
      {0, 0, 255, 255, 0, 0, 0}, {0, 0, 0, 0, 255, 255, 0}, {255, 255, 0, 0, 0, 0, 255}};
  for (int c = 0; c < 3; ++c) {
    const auto among = [&](const std::uint8_t* table) HWY_ATTR {
      return hn::MaskFromVec(hn::TableLookupBytes(hn::LoadDup128(d, table), sixth));
    };
    rgb[c] =
        hn::IfThenElse(among(full[c]), hsv.value, hn::IfThenElse(among(least[c]), low, middle));
  }
}

void shift_row(std::uint8_t* row, std::size_t stride, std::uint8_t shift,
               const std::uint8_t* less_one) {
  for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
    auto hsv = to_hsv(d, hn::LoadU(d, row + x), hn::LoadU(d, row + x + stride),
                      hn::LoadU(d, row + x + 2 * stride), less_one);
    hsv.hue = hn::Add(hsv.hue, hn::Set(d, shift));
    hn::Vec<decltype(d)> rgb[3];
    to_rgb(d, hsv, rgb);
    for (std::size_t c = 0; c < 3; ++c) hn::StoreU(rgb[c], d, row + x + c * stride);
  });
}

#endif

void shift_rows(std::uint8_t* rows, std::size_t stride, int height, std::uint8_t shift,
                const std::uint8_t* less_one) {
  for (int y = 0; y < height; ++y, rows += 3 * stride) shift_row(rows, stride, shift, less_one);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(shift_rows);

void hue(std::uint8_t* rows, std::size_t stride, int height, std::uint8_t shift) {
  alignas(16) static const std::array<std::uint8_t, 32> less_one = hues_less_one();
  HWY_DYNAMIC_DISPATCH(shift_rows)(rows, stride, height, shift, less_one.data());
}

}  // namespace ringfeed::augment
#endif
