#include "augment/color_kernels.h"

#include <algorithm>
#include <bit>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/color_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "augment/blend-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

std::uint8_t gray(const std::uint8_t* pixel, std::size_t stride) {
  return static_cast<std::uint8_t>(
      (19595 * pixel[0] + 38470 * pixel[stride] + 7471 * pixel[2 * stride] + 0x8000) >> 16);
}

void keep_bits(std::uint8_t* bytes, std::size_t count, std::uint8_t mask) {
  for (std::size_t i = 0; i < count; ++i) bytes[i] &= mask;
}

void invert(std::uint8_t* bytes, std::size_t count, std::uint8_t first) {
  for (std::size_t i = 0; i < count; ++i) bytes[i] ^= bytes[i] < first ? 0 : 255;
}

void add_below_128(std::uint8_t* bytes, std::size_t count, std::uint8_t addend) {
  for (std::size_t i = 0; i < count; ++i) {
    if (bytes[i] < 128) bytes[i] = static_cast<std::uint8_t>(std::min(bytes[i] + addend, 255));
  }
}

void blend(std::uint8_t* bytes, std::size_t count, std::uint8_t base, const Blend& by) {
  for (std::size_t i = 0; i < count; ++i) bytes[i] = blend_byte(base, bytes[i], by);
}

void look_up(std::uint8_t* plane, std::size_t stride, const std::uint8_t* table) {
  for (std::size_t x = 0; x < stride; ++x) plane[x] = table[plane[x]];
}

void stretch(std::uint8_t* plane, std::size_t stride, Stretch by) {
  for (std::size_t x = 0; x < stride; ++x) {
    const int n = std::max(plane[x] - by.low, 0);
    plane[x] = static_cast<std::uint8_t>(n + (n * by.part >> 16));
  }
}

void grayscale(std::uint8_t* row, std::size_t stride) {
  for (std::size_t x = 0; x < stride; ++x) {
    row[x] = row[x + stride] = row[x + 2 * stride] = gray(row + x, stride);
  }
}

void saturate(std::uint8_t* row, std::size_t stride, const Blend& by) {
  for (std::size_t x = 0; x < stride; ++x) {
    const std::uint8_t base = gray(row + x, stride);
    for (std::size_t c = 0; c < 3; ++c) {
      row[x + c * stride] = blend_byte(base, row[x + c * stride], by);
    }
  }
}

std::array<std::uint8_t, 2> range(const std::uint8_t* plane, std::size_t stride, int height,
                                  int width) {
  std::array<std::uint8_t, 2> found{255, 0};
  for (int y = 0; y < height; ++y, plane += 3 * stride) {
    const auto [low, high] = std::minmax_element(plane, plane + width);
    found = {std::min(found[0], *low), std::max(found[1], *high)};
  }
  return found;
}

std::uint64_t gray_sum(const std::uint8_t* rows, std::size_t stride, int height, int width) {
  std::uint64_t sum = 0;
  for (int y = 0; y < height; ++y, rows += 3 * stride) {
    for (int x = 0; x < width; ++x) sum += gray(rows + x, stride);
  }
  return sum;
}

#else

/// (19595 R + 38470 G + 7471 B + 0x8000) >> 16 without a bit of 17: the weights' high and low bytes
/// apart, of which each sum has 16.
template <class D16>
HWY_INLINE hn::Vec<D16> gray_words(D16 d, hn::Vec<D16> r, hn::Vec<D16> g, hn::Vec<D16> b) {
  const auto sum = [&](const std::array<std::uint16_t, 3>& weights) HWY_ATTR {
    return hn::Add(hn::Add(hn::Mul(r, hn::Set(d, weights[0])), hn::Mul(g, hn::Set(d, weights[1]))),
                   hn::Mul(b, hn::Set(d, weights[2])));
  };
  const auto high = sum(gray_weights_high);
  const auto low = sum(gray_weights_low);
  return hn::ShiftRight<8>(
      hn::Add(hn::Add(high, hn::Set(d, std::uint16_t{128})), hn::ShiftRight<8>(low)));
}

template <class D8>
struct Pixels {
  Pair<D8> channels[3];
  Pair<D8> gray;
};

template <class D8>
HWY_INLINE Pixels<D8> load_pixels(D8 d, const std::uint8_t* from, std::size_t stride) {
  const Words<D8> words;
  const auto r = widen(d, hn::LoadU(d, from));
  const auto g = widen(d, hn::LoadU(d, from + stride));
  const auto b = widen(d, hn::LoadU(d, from + 2 * stride));
  return {{r, g, b},
          {gray_words(words, r.even, g.even, b.even), gray_words(words, r.odd, g.odd, b.odd)}};
}

void keep_bits(std::uint8_t* bytes, std::size_t count, std::uint8_t mask) {
  const Bytes d;
  const auto kept = hn::Set(d, mask);
  for (std::size_t i = 0; i < count; i += hn::MaxLanes(d)) {
    hn::StoreU(hn::And(hn::LoadU(d, bytes + i), kept), d, bytes + i);
  }
}

void invert(std::uint8_t* bytes, std::size_t count, std::uint8_t first) {
  const Bytes d;
  const auto least = hn::Set(d, first);
  for (std::size_t i = 0; i < count; i += hn::MaxLanes(d)) {
    const auto v = hn::LoadU(d, bytes + i);
    const auto not_below = hn::VecFromMask(d, hn::Eq(hn::Max(v, least), v));
    hn::StoreU(hn::Xor(v, not_below), d, bytes + i);
  }
}

void add_below_128(std::uint8_t* bytes, std::size_t count, std::uint8_t addend) {
  const Bytes d;
  const hn::RebindToSigned<Bytes> signed_bytes;
  for (std::size_t i = 0; i < count; i += hn::MaxLanes(d)) {
    const auto v = hn::LoadU(d, bytes + i);
    // Bytes of 128 and more are negative ones.
    const auto negative = hn::Lt(hn::BitCast(signed_bytes, v), hn::Zero(signed_bytes));
    const auto not_below = hn::BitCast(d, hn::VecFromMask(signed_bytes, negative));
    const auto by = hn::AndNot(not_below, hn::Set(d, addend));
    hn::StoreU(hn::SaturatedAdd(v, by), d, bytes + i);
  }
}

void blend(std::uint8_t* bytes, std::size_t count, std::uint8_t base, const Blend& by) {
  with_blender(by, [&](const auto& blender) HWY_ATTR {
    const Bytes d;
    const auto bases = widen(d, hn::Set(d, base));
    for (std::size_t i = 0; i < count; i += hn::MaxLanes(d)) {
      const auto values = widen(d, hn::LoadU(d, bytes + i));
      hn::StoreU(blend_bytes(d, blender, bases, values), d, bytes + i);
    }
  });
}

void look_up(std::uint8_t* plane, std::size_t stride, const std::uint8_t* table) {
  for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
    hn::StoreU(look_up_bytes(d, table, hn::LoadU(d, plane + x)), d, plane + x);
  });
}

void stretch(std::uint8_t* plane, std::size_t stride, Stretch by) {
  for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
    const Words<decltype(d)> words;
    const auto part = hn::Set(words, by.part);
    const auto high_byte = hn::Set(words, std::uint16_t{0xFF00});
    // 8 bits behind the point, of which the last may be too small: the floor is the same.
    const auto times = [&](auto v) HWY_ATTR { return hn::Add(v, hn::MulHigh(v, part)); };
    const auto n =
        hn::BitCast(words, hn::SaturatedSub(hn::LoadU(d, plane + x), hn::Set(d, by.low)));
    const auto even = hn::ShiftRight<8>(times(hn::ShiftLeft<8>(n)));
    const auto odd = hn::And(times(hn::And(n, high_byte)), high_byte);
    hn::StoreU(hn::BitCast(d, hn::Or(even, odd)), d, plane + x);
  });
}

void grayscale(std::uint8_t* row, std::size_t stride) {
  for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
    const auto gray = narrow(d, load_pixels(d, row + x, stride).gray);
    for (std::size_t c = 0; c < 3; ++c) hn::StoreU(gray, d, row + x + c * stride);
  });
}

void saturate(std::uint8_t* row, std::size_t stride, const Blend& by) {
  with_blender(by, [&](const auto& blender) HWY_ATTR {
    for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
      const auto pixels = load_pixels(d, row + x, stride);
      for (std::size_t c = 0; c < 3; ++c) {
        hn::StoreU(blend_bytes(d, blender, pixels.gray, pixels.channels[c]), d,
                   row + x + c * stride);
      }
    });
  });
}

std::array<std::uint8_t, 2> range(const std::uint8_t* plane, std::size_t stride, int height,
                                  int width) {
  const Bytes d;
  constexpr std::size_t n = hn::MaxLanes(Bytes());
  const auto count = static_cast<std::size_t>(width);
  std::array<std::uint8_t, 2> found{255, 0};
  auto low = hn::Set(d, found[0]);
  auto high = hn::Set(d, found[1]);
  for (int y = 0; y < height; ++y, plane += 3 * stride) {
    const auto take = [&](std::size_t x) HWY_ATTR {
      const auto v = hn::LoadU(d, plane + x);
      low = hn::Min(low, v);
      high = hn::Max(high, v);
    };
    if (count >= n) {
      for (std::size_t x = 0; x + n <= count; x += n) take(x);
      take(count - n);
    } else {
      const auto [least, largest] = std::minmax_element(plane, plane + count);
      found = {std::min(found[0], *least), std::max(found[1], *largest)};
    }
  }
  alignas(64) std::uint8_t lows[n], highs[n];
  hn::Store(low, d, lows);
  hn::Store(high, d, highs);
  return {std::min(found[0], *std::min_element(lows, lows + n)),
          std::max(found[1], *std::max_element(highs, highs + n))};
}

std::uint64_t gray_sum(const std::uint8_t* rows, std::size_t stride, int height, int width) {
  const Bytes d;
  constexpr std::size_t n = hn::MaxLanes(Bytes());
  const hn::Repartition<std::uint64_t, Bytes> d64;
  const auto count = static_cast<std::size_t>(width);
  std::uint8_t within[2 * n];  // n bytes from n - k on keep the first k
  std::fill(within, within + n, std::uint8_t{255});
  std::fill(within + n, within + 2 * n, std::uint8_t{0});
  auto sum = hn::Zero(d64);
  for (int y = 0; y < height; ++y, rows += 3 * stride) {
    for (std::size_t x = 0; x < count; x += n) {
      const auto mask = hn::LoadU(d, within + n - std::min(n, count - x));
      const auto gray = hn::And(narrow(d, load_pixels(d, rows + x, stride).gray), mask);
      sum = hn::Add(sum, hn::SumsOf8(gray));
    }
  }
  alignas(64) std::uint64_t sums[n / 8];
  hn::Store(sum, d64, sums);
  std::uint64_t total = 0;
  for (std::uint64_t s : sums) total += s;
  return total;
}

#endif

const ColorKernels& kernels() {
  static constexpr ColorKernels table{&keep_bits, &invert,    &add_below_128, &blend, &look_up,
                                      &stretch,   &grayscale, &saturate,      &range, &gray_sum};
  return table;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(kernels);

const ColorKernels& color_kernels() { return HWY_DYNAMIC_DISPATCH(kernels)(); }

}  // namespace ringfeed::augment
#endif
