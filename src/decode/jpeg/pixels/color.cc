#include "decode/jpeg/pixels/color.h"

#include <algorithm>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/jpeg/pixels/color.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h:
#include "decode/jpeg/pixels/vectors-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::decode {
namespace HWY_NAMESPACE {
namespace {

#if RINGFEED_PIXELS_SCALAR

/// libjpeg's, with its constants: 16 bits behind the point.
void put(int luma, int cb, int cr, std::uint8_t* rgb) {
  cb -= 128;
  cr -= 128;
  constexpr int half = 1 << 15;
  const auto level = [](int v) { return static_cast<std::uint8_t>(std::clamp(v, 0, 255)); };
  rgb[0] = level(luma + ((91881 * cr + half) >> 16));
  rgb[1] = level(luma + ((-22554 * cb - 46802 * cr + half) >> 16));
  rgb[2] = level(luma + ((116130 * cb + half) >> 16));
}

void sum_rows(const std::uint8_t* nearer, const std::uint8_t* farther, std::ptrdiff_t from,
              std::ptrdiff_t to, std::int16_t* sums) {
  for (std::ptrdiff_t i = from; i < to; ++i) {
    sums[i] = static_cast<std::int16_t>(3 * nearer[i] + farther[i]);
  }
}

void halved_chroma(const std::uint8_t* luma, const std::int16_t* cb, const std::int16_t* cr,
                   ChromaRounding rounding, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i, ++cb, ++cr, luma += 2, rgb += 6) {
    const auto left = [&](const std::int16_t* c) {
      return (3 * c[0] + c[-1] + rounding.left) >> 4;
    };
    const auto right = [&](const std::int16_t* c) {
      return (3 * c[0] + c[1] + rounding.right) >> 4;
    };
    put(luma[0], left(cb), left(cr), rgb);
    put(luma[1], right(cb), right(cr), rgb + 3);
  }
}

void whole_chroma(const std::uint8_t* luma, const std::uint8_t* cb, const std::uint8_t* cr,
                  std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i) put(luma[i], cb[i], cr[i], rgb + 3 * i);
}

void grey(const std::uint8_t* luma, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; ++i) std::fill_n(rgb + 3 * i, 3, luma[i]);
}

#else

constexpr std::size_t lanes = hn::MaxLanes(D16());

/// Pixels of even and of odd columns.
struct Columns {
  V16 even, odd;
};

HWY_INLINE Columns split(const std::uint8_t* bytes) {
  const D16 d;
  const auto both = hn::BitCast(hn::RebindToUnsigned<D16>(), hn::LoadU(D8(), bytes));
  return {hn::And(hn::BitCast(d, both), hn::Set(d, std::int16_t{255})),
          hn::BitCast(d, hn::ShiftRight<8>(both))};
}

HWY_INLINE V8 join(V16 even, V16 odd) {
  alignas(16) static constexpr std::uint8_t turns[16] = {0, 8,  1, 9,  2, 10, 3, 11,
                                                         4, 12, 5, 13, 6, 14, 7, 15};
  return hn::TableLookupBytes(pack(even, odd), hn::LoadDup128(D8(), turns));
}

struct Rgb {
  V16 red, green, blue;
};

/// libjpeg's results with less work. cb and cr lie around 0, and for these 256 values a product of
/// 15 bits, rounded, is libjpeg's of 16.
HWY_INLINE Rgb to_rgb(V16 luma, V16 cb, V16 cr) {
  const D16 d;
  const D32 d32;
  const auto set = [&](int value) HWY_ATTR { return hn::Set(d, static_cast<std::int16_t>(value)); };
  const V16 red = hn::MulFixedPoint15(hn::Add(cr, cr), set(22971));   // 1.402
  const V16 blue = hn::MulFixedPoint15(hn::Add(cb, cb), set(29033));  // 1.772
  // -0.34414 cb - 0.71414 cr, rounded once: 0.28586 cr and cr less.
  const auto weights = hn::BitCast(d, hn::Set(d32, 18734 * 65536 + (-22554 & 0xFFFF)));
  const auto half = hn::Set(d32, 1 << 15);
  const auto weighted = [&](V16 pair) HWY_ATTR {
    return hn::ShiftRight<16>(hn::Add(sum_of_products(pair, weights), half));
  };
  const V16 green = hn::ReorderDemote2To(d, weighted(hn::InterleaveLower(d, cb, cr)),
                                         weighted(hn::InterleaveUpper(d, cb, cr)));
  return {hn::Add(luma, red), hn::Add(luma, hn::Sub(green, cr)), hn::Add(luma, blue)};
}

HWY_INLINE void put(const Columns& luma, const Columns& cb, const Columns& cr, std::uint8_t* rgb) {
  const Rgb even = to_rgb(luma.even, cb.even, cr.even), odd = to_rgb(luma.odd, cb.odd, cr.odd);
  hn::StoreInterleaved3(join(even.red, odd.red), join(even.green, odd.green),
                        join(even.blue, odd.blue), D8(), rgb);
}

void sum_rows(const std::uint8_t* nearer, const std::uint8_t* farther, std::ptrdiff_t from,
              std::ptrdiff_t to, std::int16_t* sums) {
  const D16 d;
  const hn::Rebind<std::uint8_t, D16> bytes;
  for (std::ptrdiff_t i = from; i < to; i += static_cast<std::ptrdiff_t>(lanes)) {
    const V16 a = hn::PromoteTo(d, hn::LoadU(bytes, nearer + i));
    const V16 b = hn::PromoteTo(d, hn::LoadU(bytes, farther + i));
    hn::StoreU(hn::Add(hn::Add(a, a), hn::Add(a, b)), d, sums + i);
  }
}

void halved_chroma(const std::uint8_t* luma, const std::int16_t* cb, const std::int16_t* cr,
                   ChromaRounding rounding, std::size_t count, std::uint8_t* rgb) {
  const D16 d;
  constexpr int middle = 16 * 128;
  const auto left = hn::Set(d, static_cast<std::int16_t>(rounding.left - middle));
  const auto right = hn::Set(d, static_cast<std::int16_t>(rounding.right - middle));
  const auto upsampled = [&](const std::int16_t* sums) HWY_ATTR {
    const V16 here = hn::LoadU(d, sums);
    const V16 three = hn::Add(here, hn::Add(here, here));
    return Columns{hn::ShiftRight<4>(hn::Add(three, hn::Add(hn::LoadU(d, sums - 1), left))),
                   hn::ShiftRight<4>(hn::Add(three, hn::Add(hn::LoadU(d, sums + 1), right)))};
  };
  for (std::size_t i = 0; i < count; i += lanes) {
    put(split(luma + 2 * i), upsampled(cb + i), upsampled(cr + i), rgb + 6 * i);
  }
}

void whole_chroma(const std::uint8_t* luma, const std::uint8_t* cb, const std::uint8_t* cr,
                  std::size_t count, std::uint8_t* rgb) {
  const auto middle = hn::Set(D16(), std::int16_t{128});
  const auto centred = [&](const std::uint8_t* bytes) HWY_ATTR {
    const Columns columns = split(bytes);
    return Columns{hn::Sub(columns.even, middle), hn::Sub(columns.odd, middle)};
  };
  for (std::size_t i = 0; i < count; i += 2 * lanes) {
    put(split(luma + i), centred(cb + i), centred(cr + i), rgb + 3 * i);
  }
}

void grey(const std::uint8_t* luma, std::size_t count, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < count; i += 2 * lanes) {
    const V8 all = hn::LoadU(D8(), luma + i);
    hn::StoreInterleaved3(all, all, all, D8(), rgb + 3 * i);
  }
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::decode
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::decode {

HWY_EXPORT(sum_rows);
HWY_EXPORT(halved_chroma);
HWY_EXPORT(whole_chroma);
HWY_EXPORT(grey);

void sum_chroma_rows(const std::uint8_t* nearer, const std::uint8_t* farther, std::size_t count,
                     bool left, bool right, std::int16_t* sums) {
  const auto end = static_cast<std::ptrdiff_t>(count);
  HWY_DYNAMIC_DISPATCH(sum_rows)(nearer, farther, left ? 0 : -1, right ? end : end + 1, sums);
  if (left) sums[-1] = sums[0];
  if (right) sums[end] = sums[end - 1];
}

void halved_chroma_to_rgb(const std::uint8_t* luma, const std::int16_t* cb, const std::int16_t* cr,
                          ChromaRounding rounding, std::size_t count, std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(halved_chroma)(luma, cb, cr, rounding, count, rgb);
}

void whole_chroma_to_rgb(const std::uint8_t* luma, const std::uint8_t* cb, const std::uint8_t* cr,
                         std::size_t count, std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(whole_chroma)(luma, cb, cr, count, rgb);
}

void grey_to_rgb(const std::uint8_t* luma, std::size_t count, std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(grey)(luma, count, rgb);
}

}  // namespace ringfeed::decode
#endif
