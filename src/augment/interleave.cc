#include "augment/interleave.h"

#include "base/planar.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/interleave.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
// Planes begin at multiples of 16 bytes: a longer vector would spoil the start of the next one.
using Bytes = hn::CappedTag<std::uint8_t, 16>;

void to_planes(const std::uint8_t* rgb, int width, std::uint8_t* planes, std::size_t stride) {
  const Bytes d;
  for (std::size_t x = 0; x < static_cast<std::size_t>(width); x += hn::Lanes(d)) {
    hn::Vec<Bytes> r, g, b;
    hn::LoadInterleaved3(d, rgb + 3 * x, r, g, b);
    hn::StoreU(r, d, planes + x);
    hn::StoreU(g, d, planes + stride + x);
    hn::StoreU(b, d, planes + 2 * stride + x);
  }
}

void to_triples(const std::uint8_t* planes, std::size_t stride, int count, std::uint8_t* rgb) {
  const Bytes d;
  for (std::size_t x = 0; x < static_cast<std::size_t>(count); x += hn::Lanes(d)) {
    hn::StoreInterleaved3(hn::LoadU(d, planes + x), hn::LoadU(d, planes + stride + x),
                          hn::LoadU(d, planes + 2 * stride + x), d, rgb + 3 * x);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(to_planes);
HWY_EXPORT(to_triples);

void set_rgb_row(Canvas& image, int y, const std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(to_planes)
  (rgb, image.width(), image.row(y), plane_stride(image.width()));
}

void get_rgb_row(const Canvas& image, int y, int begin, int count, std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(to_triples)
  (image.row(y) + begin, plane_stride(image.width()), count, rgb);
}

void to_rgb_row(const std::uint8_t* planar, int width, std::uint8_t* rgb) {
  HWY_DYNAMIC_DISPATCH(to_triples)(planar, plane_stride(width), width, rgb);
}

}  // namespace ringfeed::augment
#endif
