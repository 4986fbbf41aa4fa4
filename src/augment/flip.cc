#include "augment/flip.h"

#include <algorithm>

#include "base/planar.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/flip.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

void reverse(std::uint8_t* first, std::uint8_t* last) { std::reverse(first, last); }

#else

namespace hn = hwy::HWY_NAMESPACE;

template <class D>
HWY_INLINE hn::Vec<D> reversed(D d, const std::uint8_t* from) {
  alignas(16) constexpr std::uint8_t order[16] = {15, 14, 13, 12, 11, 10, 9, 8,
                                                  7,  6,  5,  4,  3,  2,  1, 0};
  const auto blocks = hn::TableLookupBytes(hn::LoadU(d, from), hn::LoadDup128(d, order));
  return hn::ReverseBlocks(d, blocks);
}

/// Swaps the ends while more than half a vector's bytes lie between them. The last two vectors may
/// overlap: what both write is the same.
template <class D>
HWY_INLINE void swap_ends(D d, std::uint8_t*& first, std::uint8_t*& last) {
  constexpr std::ptrdiff_t n = hn::MaxLanes(D());
  while (last - first >= n) {
    const auto front = reversed(d, first);
    const auto back = reversed(d, last - n);
    hn::StoreU(back, d, first);
    hn::StoreU(front, d, last - n);
    first += std::min(n, last - first);
    last -= std::min(n, last - first);
  }
}

void reverse(std::uint8_t* first, std::uint8_t* last) {
  swap_ends(hn::CappedTag<std::uint8_t, 64>(), first, last);
  swap_ends(hn::CappedTag<std::uint8_t, 16>(), first, last);
  std::reverse(first, last);
}

#endif

void reverse_planes(std::uint8_t* planes, std::size_t count, std::size_t stride, int width) {
  for (std::size_t i = 0; i < count; ++i, planes += stride) reverse(planes, planes + width);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(reverse_planes);

void hflip(Canvas& image) {
  HWY_DYNAMIC_DISPATCH(reverse_planes)
  (image.row(0), 3 * static_cast<std::size_t>(image.height()), plane_stride(image.width()),
   image.width());
}

void vflip(Canvas& image) {
  const std::size_t bytes = 3 * plane_stride(image.width());
  for (int y = 0; y < image.height() / 2; ++y) {
    std::uint8_t* row = image.row(y);
    std::swap_ranges(row, row + bytes, image.row(image.height() - 1 - y));
  }
}

}  // namespace ringfeed::augment
#endif
