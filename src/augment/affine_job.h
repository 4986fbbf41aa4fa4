#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "augment/affine_kernels.h"
#include "augment/canvas.h"
#include "ringfeed/operation.h"

namespace ringfeed::augment {

/// Pixels of border around an RGBX copy, which repeat the image's: as far as bicubic looks.
inline constexpr int affine_border = 2;

/// What lies in the scratch memory.
struct AffineScratch {
  AffineScratch(int height, int width, std::uint8_t* memory);
  static std::size_t bytes(int height, int width) noexcept;

  /// The pixel at column x of row y of the image.
  std::uint32_t* pixel(int x, int y) const {
    return pixels + static_cast<std::size_t>(y + affine_border) * pitch +
           static_cast<std::size_t>(x + affine_border);
  }

  std::size_t pitch;
  std::uint32_t *column_x, *column_y;
  std::int32_t* doubtful;
  std::uint32_t* pixels;   ///< the RGBX copy with its borders
  std::uint32_t* outside;  ///< a pixel of the fill colour
};

/// A point of the image in pixels; its first pixel reaches from 0 to 1.
struct Place {
  double x, y;
};

/// One affine or perspective operation under way.
struct AffineJob {
  AffineJob(const Operation& operation, const Canvas& source, Canvas& target, std::uint8_t* memory);

  /// Makes the RGBX copy.
  void copy_source() const;
  /// Sets output pixels begin to end - 1 of row y to the fill colour.
  void fill_row(int y, int begin, int end) const;
  /// Sets output pixels x of row y to those at (left + x, line) of the image.
  void run_row(int y, std::int64_t left, std::int64_t line) const;

  /// Where output (x, y) comes from, in Pillow's order.
  Place place(int x, int y) const;

  // Of the filters, bilinear or not. All want the RGBX copy.

  /// Whether places inside the image fit fixed point. Those of a huge image do not: it is rotated
  /// before any crop, and takes exact_row().
  bool fits_fixed_point() const;
  /// Sets what in `row` is the same for every row: places are in fixed point, of the image with its
  /// borders.
  void prepare_filter(bool linear);
  /// Output pixels begin to end - 1 of row y, whose places are inside the image and, to two units,
  /// those in `row`.
  void filter_pixels(bool linear, int y, int begin, int end) const;
  /// A row in double, for numbers that fixed point does not hold.
  void exact_row(bool linear, int y) const;

  const double a, b, c, d, e, f, g, h;  ///< g and h are 0 of an affine operation
  const std::array<std::uint8_t, 3> fill;
  const Canvas& from;
  Canvas& to;
  const int height, width;
  const AffineScratch scratch;
  const AffineKernels& kernels;
  AffineRow row{};  ///< but its place and the numbers of one interpolation, which those set
};

void affine_nearest(AffineJob job);
/// Bilinear or bicubic.
void affine_filter(AffineJob job, Interpolation interpolation);
/// Nearest, bilinear or bicubic.
void perspective(AffineJob job, Interpolation interpolation);

}  // namespace ringfeed::augment
