#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringfeed::augment {

/// Pixels that interleave() may write behind a row's.
inline constexpr std::size_t interleave_slack = 64;

/// A row of the output and where each of its pixels comes from, in fixed point: output x looks at
/// (column_x[x] + row_x, column_y[x] + row_y), sums modulo 2^32 with `shift` bits of fraction.
struct AffineRow {
  const std::uint32_t* pixels;  ///< of the image, as RGBX with X = 0, `pitch` a row
  std::uint32_t pitch;
  const std::uint32_t* column_x;  ///< followed by 64 readable bytes, as column_y is
  const std::uint32_t* column_y;
  std::uint32_t row_x, row_y;
  int shift;

  /// copy() alone: whole coordinates from here on are outside, and get pixels[outside].
  std::uint32_t limit_x, limit_y, outside;

  /// The filters alone: how far a result may be from that in double; whether every pixel of the row
  /// has a fraction of exactly 0.
  float margin;
  bool whole_x, whole_y;

  std::size_t stride;  ///< of the output's planes
};

/// A row of a perspective operation.
struct PerspectiveRow {
  std::array<double, 8> values;  ///< Pillow's a to h
  int y;
  double limit_x, limit_y;  ///< places from 0 to below these are inside
  /// A place inside becomes place * unit + offset, cut to an int32, with the bits of `flip` turned;
  /// `outside` instead of the sum becomes outside_place.
  double unit, offset, outside;
  std::uint32_t flip;
};
inline constexpr std::uint32_t outside_place = 0xFFFFFFFF;

/// Those of one instruction set. Each writes the output's pixels begin to end - 1, and nothing
/// else, but for perspective_places().
struct AffineKernels {
  /// A row of planar pixels, which kernel_slack bytes follow, to RGBX.
  void (*interleave)(const std::uint8_t* planar, std::size_t stride, int width,
                     std::uint32_t* pixels);
  /// The pixel at the whole coordinates.
  void (*copy)(const AffineRow& row, int begin, int end, std::uint8_t* out);
  /// Between that pixel and the next right and below, all of which have to exist. Returns how many
  /// results are too close to an integer to be truncated; where they are goes to `doubtful`.
  int (*bilinear)(const AffineRow& row, int begin, int end, std::uint8_t* out,
                  std::int32_t* doubtful);
  /// The same with one pixel more on each side.
  int (*bicubic)(const AffineRow& row, int begin, int end, std::uint8_t* out,
                 std::int32_t* doubtful);
  /// Sets column_x and column_y of `width` pixels, and up to 32 bytes behind them. Places are
  /// computed in double in Pillow's order. Returns false if any could be NaN.
  bool (*perspective_places)(const PerspectiveRow& row, int width, std::uint32_t* column_x,
                             std::uint32_t* column_y);
};

const AffineKernels& affine_kernels();

}  // namespace ringfeed::augment
