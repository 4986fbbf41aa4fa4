#include "augment/gaussian_blur.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "base/planar.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/gaussian_blur.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "augment/blend-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

/// Bytes that lie one behind another in steps.
template <class Byte>
struct Line {
  Byte* bytes;
  std::size_t step;

  Byte* at(int i) const { return bytes + static_cast<std::size_t>(i) * step; }
};
using From = Line<const std::uint8_t>;
using To = Line<std::uint8_t>;

constexpr std::uint32_t half = 1u << 23;

/// Box blur of one line of bytes.
void blur_bytes(From from, To to, int length, const BoxBlur& box) {
  const auto at = [&](int i) -> std::uint32_t { return *from.at(std::clamp(i, 0, length - 1)); };
  std::uint32_t sum = 0;
  for (int i = -box.radius - 1; i < box.radius; ++i) sum += at(i);
  for (int i = 0; i < length; ++i) {
    const std::uint32_t before = at(i - box.radius - 1);
    sum += at(i + box.radius) - before;
    const std::uint32_t ends = before + at(i + box.radius + 1);
    *to.at(i) = static_cast<std::uint8_t>((sum * box.full + ends * box.part + half) >> 24);
  }
}

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

void blur(std::uint8_t* plane, std::size_t stride, int height, int width, const BoxBlur& box,
          std::uint8_t* scratch) {
  const auto blur_line = [&](std::uint8_t* bytes, std::size_t step, int length) {
    std::uint8_t* other = scratch + length;
    blur_bytes({bytes, step}, {scratch, 1}, length, box);
    blur_bytes({scratch, 1}, {other, 1}, length, box);
    blur_bytes({other, 1}, {bytes, step}, length, box);
  };
  for (int y = 0; y < height; ++y) {
    blur_line(plane + static_cast<std::size_t>(y) * 3 * stride, 1, width);
  }
  for (int x = 0; x < width; ++x) blur_line(plane + x, 3 * stride, height);
}

#else

/// The sums' and the ends' weights, their upper and lower 12 bits apart: products with either fit,
/// and so do words of the sums, up to this radius.
constexpr int largest_radius_in_words = 63;

template <class D8>
struct Weights {
  using D16 = hn::Repartition<std::int16_t, D8>;
  using D32 = hn::Repartition<std::int32_t, D8>;

  explicit Weights(const BoxBlur& box)
      : high(pair(box.full >> 12, box.part >> 12)), low(pair(box.full & 4095, box.part & 4095)) {}

  static HWY_INLINE hn::Vec<D16> pair(std::uint32_t full, std::uint32_t part) {
    return hn::BitCast(D16(), hn::Set(D32(), static_cast<std::int32_t>(full | part << 16)));
  }

  hn::Vec<D16> high, low;
};

/// Bytes of (sum * full + ends * part + half) >> 24, each in the lane's highest byte.
template <class D8>
HWY_INLINE hn::Vec<hn::Repartition<std::uint32_t, D8> > weigh(
    D8, const Weights<D8>& weights, hn::Vec<hn::Repartition<std::int16_t, D8> > pairs) {
  const hn::Repartition<std::int32_t, D8> d32;
  const auto products = [&](auto by) HWY_ATTR {
    auto other = hn::Zero(d32);
    const auto first = hn::ReorderWidenMulAccumulate(d32, pairs, by, hn::Zero(d32), other);
    return hn::RearrangeToOddPlusEven(first, other);
  };
  const auto total = hn::Add(hn::ShiftLeft<12>(products(weights.high)), products(weights.low));
  return hn::BitCast(hn::Repartition<std::uint32_t, D8>(),
                     hn::Add(total, hn::Set(d32, static_cast<std::int32_t>(half))));
}

template <class D8>
HWY_INLINE hn::Vec<Words<D8> > weighed_words(D8 d8, const Weights<D8>& weights,
                                             hn::Vec<Words<D8> > sums, hn::Vec<Words<D8> > ends) {
  const Words<D8> d;
  const hn::Repartition<std::int16_t, D8> di;
  const hn::Repartition<std::uint32_t, D8> d32;
  const auto ends_up = hn::BitCast(d, hn::ShiftLeft<16>(hn::BitCast(d32, ends)));
  const auto sums_down = hn::BitCast(d, hn::ShiftRight<16>(hn::BitCast(d32, sums)));
  const auto even = weigh(d8, weights, hn::BitCast(di, hn::OddEven(ends_up, sums)));
  const auto odd = weigh(d8, weights, hn::BitCast(di, hn::OddEven(ends, sums_down)));
  return hn::BitCast(
      d, hn::Or(hn::ShiftRight<24>(even), hn::And(hn::ShiftRight<8>(odd), hn::Set(d32, 0xFF0000))));
}

/// Box blur of a vector of lines, next to each other.
template <class D8>
HWY_INLINE void blur_lines(D8 d8, From from, To to, int length, const BoxBlur& box) {
  if (box.radius > largest_radius_in_words) {
    for (std::size_t lane = 0; lane < hn::MaxLanes(d8); ++lane) {
      blur_bytes({from.bytes + lane, from.step}, {to.bytes + lane, to.step}, length, box);
    }
    return;
  }
  const Words<D8> d;
  const Weights<D8> weights(box);
  const auto at = [&](int i) HWY_ATTR {
    return widen(d8, hn::LoadU(d8, from.at(std::clamp(i, 0, length - 1))));
  };
  auto even = hn::Zero(d), odd = hn::Zero(d);
  for (int i = -box.radius - 1; i < box.radius; ++i) {
    const Pair<D8> next = at(i);
    even = hn::Add(even, next.even);
    odd = hn::Add(odd, next.odd);
  }
  Pair<D8> next = at(box.radius);
  for (int i = 0; i < length; ++i) {
    const Pair<D8> before = at(i - box.radius - 1);
    even = hn::Sub(hn::Add(even, next.even), before.even);
    odd = hn::Sub(hn::Add(odd, next.odd), before.odd);
    next = at(i + box.radius + 1);
    const Pair<D8> words{weighed_words(d8, weights, even, hn::Add(before.even, next.even)),
                         weighed_words(d8, weights, odd, hn::Add(before.odd, next.odd))};
    hn::StoreU(narrow(d8, words), d8, to.at(i));
  }
}

/// 16 x 16 bytes, from row to column.
HWY_INLINE void transpose(const std::array<const std::uint8_t*, 16>& rows, std::size_t x,
                          std::uint8_t* const (&columns)[16]) {
  const hn::CappedTag<std::uint8_t, 16> d;
  const auto at = [&](std::size_t i) HWY_ATTR { return hn::LoadU(d, rows[i] + x); };
  // Each step interleaves rows that lie 8 apart; four of them turn the block.
  hn::Vec<decltype(d)> a[16], b[16];
  for (std::size_t i = 0; i < 16; ++i) a[i] = at(i);
  const auto step = [&](const auto* in, auto* out) HWY_ATTR {
    for (std::size_t i = 0; i < 8; ++i) {
      out[2 * i] = hn::InterleaveLower(d, in[i], in[i + 8]);
      out[2 * i + 1] = hn::InterleaveUpper(d, in[i], in[i + 8]);
    }
  };
  step(a, b);
  step(b, a);
  step(a, b);
  step(b, a);
  for (std::size_t i = 0; i < 16; ++i) hn::StoreU(a[i], d, columns[i]);
}

void blur_rows(std::uint8_t* plane, std::size_t stride, int height, int width, const BoxBlur& box,
               std::uint8_t* scratch) {
  const Bytes d;
  constexpr std::size_t n = hn::MaxLanes(Bytes());
  std::uint8_t* other = scratch + stride * n;
  const auto row = [&](std::size_t y) {
    return plane + std::min(y, static_cast<std::size_t>(height) - 1) * 3 * stride;
  };
  for (std::size_t first = 0; first < static_cast<std::size_t>(height); first += n) {
    for (std::size_t group = 0; group < n; group += 16) {
      std::array<const std::uint8_t*, 16> rows;
      for (std::size_t i = 0; i < 16; ++i) rows[i] = row(first + group + i);
      for (std::size_t x = 0; x < stride; x += 16) {
        std::uint8_t* columns[16];
        for (std::size_t i = 0; i < 16; ++i) columns[i] = scratch + (x + i) * n + group;
        transpose(rows, x, columns);
      }
    }
    blur_lines(d, {scratch, n}, {other, n}, width, box);
    blur_lines(d, {other, n}, {scratch, n}, width, box);
    blur_lines(d, {scratch, n}, {other, n}, width, box);
    for (std::size_t group = 0; group < n; group += 16) {
      std::uint8_t spare[16];  // for rows behind the last
      for (std::size_t x = 0; x < stride; x += 16) {
        std::array<const std::uint8_t*, 16> rows;
        std::uint8_t* columns[16];
        for (std::size_t i = 0; i < 16; ++i) {
          rows[i] = other + (x + i) * n + group;
          const std::size_t y = first + group + i;
          columns[i] = y < static_cast<std::size_t>(height) ? row(y) + x : spare;
        }
        transpose(rows, 0, columns);
      }
    }
  }
}

void blur(std::uint8_t* plane, std::size_t stride, int height, int width, const BoxBlur& box,
          std::uint8_t* scratch) {
  blur_rows(plane, stride, height, width, box, scratch);
  for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
    constexpr std::size_t n = hn::MaxLanes(decltype(d)());
    std::uint8_t* other = scratch + static_cast<std::size_t>(height) * n;
    blur_lines(d, {plane + x, 3 * stride}, {scratch, n}, height, box);
    blur_lines(d, {scratch, n}, {other, n}, height, box);
    blur_lines(d, {other, n}, {plane + x, 3 * stride}, height, box);
  });
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(blur);

BoxBlur::BoxBlur(float gaussian_radius) {
  // Gwosdek et al., "Theoretical Foundations of Gaussian Convolution by Extended Box Filtering"
  // (2011), in Pillow's order and with its roundings to float.
  const float variance = gaussian_radius * gaussian_radius / 3;
  const auto length = static_cast<float>(std::sqrt(12.0 * static_cast<double>(variance) + 1.0));
  const auto whole = static_cast<float>(std::floor((static_cast<double>(length) - 1.0) / 2.0));
  float rest = (2 * whole + 1) * (whole * (whole + 1) - 3 * variance);
  rest /= 6 * (variance - (whole + 1) * (whole + 1));
  const float box_radius = whole + rest;
  if (box_radius == 0) return;
  radius = static_cast<int>(box_radius);
  full = static_cast<std::uint32_t>(0x1p24f / (box_radius * 2 + 1));
  part = ((1u << 24) - static_cast<std::uint32_t>(radius * 2 + 1) * full) / 2;
}

void gaussian_blur(float radius, Canvas& image, std::uint8_t* scratch) {
  const BoxBlur box(radius);
  if (box.radius < 0) return;
  const std::size_t stride = plane_stride(image.width());
  for (std::size_t plane = 0; plane < 3 * stride; plane += stride) {
    HWY_DYNAMIC_DISPATCH(blur)
    (image.row(0) + plane, stride, image.height(), image.width(), box, scratch);
  }
}

std::size_t blur_scratch(int height, int width) noexcept {
  constexpr std::size_t most_lanes = 64;
  return 2 * most_lanes * std::max(plane_stride(width), static_cast<std::size_t>(height));
}

}  // namespace ringfeed::augment
#endif
