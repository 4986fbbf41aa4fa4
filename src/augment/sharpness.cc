#include "augment/sharpness.h"

#include <cstring>

#include "base/planar.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/sharpness.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "augment/blend-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

// Pillow smooths with the sum of a pixel's 8 neighbours and 5 times itself, times 1/13 in float,
// and rounds. (2 sum + 13) / 26 has an odd numerator: it is at least 1/26 from a whole number, much
// more than the float sum is ever off, so that the floor of (sum + 6) / 13 is the same.

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

/// All of a plane but its border, which it may spoil. Rows are 3 * stride bytes apart.
void sharpen(const std::uint8_t* from, std::size_t stride, int height, const Blend& by,
             std::uint8_t* to) {
  const auto below = static_cast<std::ptrdiff_t>(3 * stride);
  for (int y = 1; y < height - 1; ++y) {
    from += below;
    to += below;
    for (std::size_t x = 1; x + 1 < stride; ++x) {
      const std::uint8_t* at = from + x;
      int sum = 4 * *at;
      for (int i = -1; i <= 1; ++i) sum += at[i - below] + at[i] + at[i + below];
      to[x] = blend_byte((sum + 6) / 13, *at, by);
    }
  }
}

#else

/// The columns behind those of one vector, from the top down: each row's sums are made once. A
/// vector's first column and the one behind its last are neighbours alone.
template <class D8, class Blender>
HWY_INLINE void sharpen_columns(D8 d8, const std::uint8_t* from, std::size_t stride, int height,
                                const Blender& blender, std::uint8_t* to) {
  const Words<D8> d;
  struct Row {
    Pair<D8> sums, pixels;
  };
  const auto load_row = [&](int y) HWY_ATTR -> Row {
    const std::uint8_t* at = from + static_cast<std::size_t>(y) * 3 * stride;
    const auto left = widen(d8, hn::LoadU(d8, at));
    const auto right = widen(d8, hn::LoadU(d8, at + 2));
    // Three rows' twos make the 6.
    const auto both = hn::Add(hn::Add(left.odd, right.even), hn::Set(d, std::uint16_t{2}));
    return {{hn::Add(both, left.even), hn::Add(both, right.odd)}, {left.odd, right.even}};
  };
  const auto smooth = [&](auto above, auto at, auto below, auto center) HWY_ATTR {
    const auto sum = hn::Add(hn::Add(hn::Add(above, at), below), hn::ShiftLeft<2>(center));
    // 65536 / 13, rounded up: the quotient is right below 6,554.
    return hn::MulHigh(sum, hn::Set(d, std::uint16_t{5042}));
  };
  Row above = load_row(0);
  Row at = load_row(1);
  for (int y = 1; y < height - 1; ++y) {
    const Row below = load_row(y + 1);
    const Pair<D8> base{smooth(above.sums.even, at.sums.even, below.sums.even, at.pixels.even),
                        smooth(above.sums.odd, at.sums.odd, below.sums.odd, at.pixels.odd)};
    hn::StoreU(blend_bytes(d8, blender, base, at.pixels), d8,
               to + static_cast<std::size_t>(y) * 3 * stride + 1);
    above = at;
    at = below;
  }
}

/// All of a plane but its border, which it may spoil. Rows are 3 * stride bytes apart.
void sharpen(const std::uint8_t* from, std::size_t stride, int height, const Blend& by,
             std::uint8_t* to) {
  with_blender(by, [&](const auto& blender) HWY_ATTR {
    for_each_vector(stride, [&](auto d, std::size_t x) HWY_ATTR {
      sharpen_columns(d, from + x, stride, height, blender, to + x);
    });
  });
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(sharpen);

void sharpness(float factor, const Canvas& from, Canvas& to) {
  const int height = from.height(), width = from.width();
  if (height < 3 || width < 3) {
    std::memcpy(to.row(0), from.row(0), from.size());
    return;
  }
  const std::size_t stride = plane_stride(width);
  const Blend by(factor);
  for (std::size_t plane = 0; plane < 3 * stride; plane += stride) {
    HWY_DYNAMIC_DISPATCH(sharpen)(from.row(0) + plane, stride, height, by, to.row(0) + plane);
  }
  to.set_row(0, from.row(0));
  for (int y = 1; y < height - 1; ++y) {
    for (std::size_t plane = 0; plane < 3 * stride; plane += stride) {
      const std::uint8_t* at = from.row(y) + plane;
      to.row(y)[plane] = at[0];
      to.row(y)[plane + static_cast<std::size_t>(width) - 1] = at[width - 1];
    }
  }
  to.set_row(height - 1, from.row(height - 1));
}

}  // namespace ringfeed::augment
#endif
