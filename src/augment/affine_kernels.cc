#include "augment/affine_kernels.h"

#include <algorithm>

#include "base/planar.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/affine_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "augment/affine_blocks-inl.h"
#include "augment/affine_filter_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

void interleave(const std::uint8_t* planar, std::size_t stride, int width, std::uint32_t* pixels) {
  for (int x = 0; x < width; ++x) {
    pixels[x] = planar[x] | std::uint32_t{planar[stride + x]} << 8 |
                std::uint32_t{planar[2 * stride + x]} << 16;
  }
}

void copy(const AffineRow& row, int begin, int end, std::uint8_t* out) {
  for (int x = begin; x < end; ++x) {
    const std::uint32_t column = (row.column_x[x] + row.row_x) >> row.shift;
    const std::uint32_t line = (row.column_y[x] + row.row_y) >> row.shift;
    const bool inside = column < row.limit_x && line < row.limit_y;
    const std::uint32_t pixel = row.pixels[inside ? line * row.pitch + column : row.outside];
    for (std::size_t c = 0; c < 3; ++c) {
      out[c * row.stride + static_cast<std::size_t>(x)] = static_cast<std::uint8_t>(pixel >> 8 * c);
    }
  }
}

/// Leaves every pixel to the arithmetic in double.
int filter(const AffineRow&, int begin, int end, std::uint8_t*, std::int32_t* doubtful) {
  for (int x = begin; x < end; ++x) *doubtful++ = x;
  return end - begin;
}
constexpr auto bilinear = &filter;
constexpr auto bicubic = &filter;

bool perspective_places(const PerspectiveRow& row, int width, std::uint32_t* column_x,
                        std::uint32_t* column_y) {
  const auto& [a, b, c, d, e, f, g, h] = row.values;
  const double line = row.y + 0.5;
  bool numbers = true;
  for (int x = 0; x < width; ++x) {
    const double column = x + 0.5;
    const double depth = g * column + h * line + 1;
    const double x_in = (a * column + b * line + c) / depth;
    const double y_in = (d * column + e * line + f) / depth;
    const bool inside = x_in >= 0 && x_in < row.limit_x && y_in >= 0 && y_in < row.limit_y;
    const auto fixed = [&](double place) {
      const double sum = inside ? place * row.unit + row.offset : row.outside;
      return static_cast<std::uint32_t>(static_cast<std::int32_t>(sum)) ^ row.flip;
    };
    column_x[x] = fixed(x_in);
    column_y[x] = fixed(y_in);
    numbers = numbers && x_in == x_in && y_in == y_in;
  }
  return numbers;
}

#else

void interleave(const std::uint8_t* planar, std::size_t stride, int width, std::uint32_t* pixels) {
  const hn::CappedTag<std::uint8_t, 64> d;
  for (std::size_t x = 0; x < static_cast<std::size_t>(width); x += hn::MaxLanes(d)) {
    hn::StoreInterleaved4(hn::LoadU(d, planar + x), hn::LoadU(d, planar + stride + x),
                          hn::LoadU(d, planar + 2 * stride + x), hn::Zero(d), d,
                          reinterpret_cast<std::uint8_t*>(pixels + x));
  }
}

/// Calls `block` for each vector of pixels, the last one by way of memory that holds a whole one.
/// `row` is a copy, so that the compiler knows that no pixel stored changes it.
template <auto block>
HWY_INLINE int for_blocks(const AffineRow row, int begin, int end, std::uint8_t* out,
                          std::int32_t* doubtful) {
  std::uint32_t last_x[lanes];
  std::uint32_t last_y[lanes];
  std::uint8_t last[3 * lanes];
  int count = 0;
  for (int x = begin; x < end; x += lanes) {
    const int size = end - x;
    const bool whole = size >= lanes;
    if (HWY_UNLIKELY(!whole)) {
      std::fill_n(std::copy_n(row.column_x + x, size, last_x), lanes - size, row.column_x[x]);
      std::fill_n(std::copy_n(row.column_y + x, size, last_y), lanes - size, row.column_y[x]);
    }
    std::uint32_t bits =
        block(row, whole ? row.column_x + x : last_x, whole ? row.column_y + x : last_y,
              whole ? out + x : last, whole ? row.stride : static_cast<std::size_t>(lanes));
    if (HWY_UNLIKELY(!whole)) {
      bits &= (1u << size) - 1;
      for (std::size_t c = 0; c < 3; ++c) {
        std::copy_n(last + c * lanes, size, out + c * row.stride + x);
      }
    }
    for (; bits != 0; bits &= bits - 1) {
      doubtful[count++] = x + static_cast<int>(hwy::Num0BitsBelowLS1Bit_Nonzero32(bits));
    }
  }
  return count;
}

/// Where copy() finds the pixels of a vector.
HWY_INLINE void copy_index(const AffineRow& row, const std::uint32_t* column_x,
                           const std::uint32_t* column_y, std::uint32_t* index) {
  const DU32 d;
  const auto x = place(column_x, row.row_x);
  const auto y = place(column_y, row.row_y);
  const auto inside = hn::And(hn::Lt(hn::ShiftRightSame(x, row.shift), hn::Set(d, row.limit_x)),
                              hn::Lt(hn::ShiftRightSame(y, row.shift), hn::Set(d, row.limit_y)));
  hn::Store(hn::IfThenElse(inside, pixel_index(row, x, y), hn::Set(d, row.outside)), d, index);
}

void copy(const AffineRow& shared, int begin, int end, std::uint8_t* out) {
  const AffineRow row = shared;
  const hn::CappedTag<std::uint8_t, 64> d8;
  // As many as let a vector of pixels be loaded long after they are stored one by one: a load right
  // behind stores that are narrower waits for them.
  constexpr int chunk = 256;
  alignas(64) std::uint32_t pixels[chunk];
  alignas(64) std::uint8_t planes[3][chunk];
  for (int first = begin; first < end; first += chunk) {
    const int size = std::min(chunk, end - first);
    for (int x = 0; x < size; x += lanes) {
      // Behind the row are any numbers, which have a place inside or not.
      alignas(64) std::uint32_t index[lanes];
      copy_index(row, row.column_x + first + x, row.column_y + first + x, index);
      for (int i = 0; i < lanes; ++i) pixels[x + i] = row.pixels[index[i]];
    }
    for (std::size_t x = 0; x < static_cast<std::size_t>(size); x += hn::MaxLanes(d8)) {
      hn::Vec<decltype(d8)> red, green, blue, none;
      hn::LoadInterleaved4(d8, reinterpret_cast<const std::uint8_t*>(pixels + x), red, green, blue,
                           none);
      hn::Store(red, d8, planes[0] + x);
      hn::Store(green, d8, planes[1] + x);
      hn::Store(blue, d8, planes[2] + x);
    }
    for (std::size_t c = 0; c < 3; ++c) {
      std::copy_n(planes[c], size, out + c * row.stride + first);
    }
  }
}

int bilinear(const AffineRow& row, int begin, int end, std::uint8_t* out, std::int32_t* doubtful) {
  return for_blocks<&bilinear_block>(row, begin, end, out, doubtful);
}

int bicubic(const AffineRow& row, int begin, int end, std::uint8_t* out, std::int32_t* doubtful) {
  return for_blocks<&bicubic_block>(row, begin, end, out, doubtful);
}

bool perspective_places(const PerspectiveRow& row, int width, std::uint32_t* column_x,
                        std::uint32_t* column_y) {
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<std::int32_t, decltype(d)> d32;
  const auto number = [&](double value) HWY_ATTR { return hn::Set(d, value); };
  const auto& v = row.values;
  const double line = row.y + 0.5;
  // In Pillow's order: the part of the row comes second.
  const auto sum = [&](int i, auto column) HWY_ATTR {
    const auto at = static_cast<std::size_t>(i);
    return hn::Add(hn::Mul(number(v[at]), column), number(v[at + 1] * line));
  };
  const auto below = [&](auto place, double limit) HWY_ATTR {
    return hn::And(hn::Ge(place, hn::Zero(d)), hn::Lt(place, number(limit)));
  };
  const auto store = [&](auto place, auto inside, std::uint32_t* out) HWY_ATTR {
    const auto fixed = hn::Add(hn::Mul(place, number(row.unit)), number(row.offset));
    const auto cut = hn::DemoteTo(d32, hn::IfThenElse(inside, fixed, number(row.outside)));
    hn::StoreU(hn::Xor(cut, hn::Set(d32, static_cast<std::int32_t>(row.flip))), d32,
               reinterpret_cast<std::int32_t*>(out));
  };
  auto numbers = hn::Zero(d);  // 0, or NaN once a place was
  for (int x = 0; x < width; x += static_cast<int>(hn::MaxLanes(d))) {
    const auto column = hn::Add(hn::Iota(d, x), number(0.5));
    const auto depth = hn::Add(sum(6, column), number(1));
    const auto x_in = hn::Div(hn::Add(sum(0, column), number(v[2])), depth);
    const auto y_in = hn::Div(hn::Add(sum(3, column), number(v[5])), depth);
    const auto inside = hn::And(below(x_in, row.limit_x), below(y_in, row.limit_y));
    store(x_in, inside, column_x + x);
    store(y_in, inside, column_y + x);
    // Infinite places, too, are looked at again.
    numbers = hn::Add(numbers, hn::Mul(hn::Add(x_in, y_in), hn::Zero(d)));
  }
  return hn::AllTrue(d, hn::Eq(numbers, numbers));
}

#endif

const AffineKernels& kernels() {
  static constexpr AffineKernels table{&interleave, &copy, bilinear, bicubic, &perspective_places};
  return table;
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(kernels);

const AffineKernels& affine_kernels() { return HWY_DYNAMIC_DISPATCH(kernels)(); }

}  // namespace ringfeed::augment
#endif
