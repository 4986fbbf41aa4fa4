#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "augment/blend.h"
#include "base/planar.h"

namespace ringfeed::augment {

/// A whole-number form of ImageOps.autocontrast's table for ranges of at least 128: with
/// n = value - low, or 0 if that is less, n + floor(n * part / 65536).
struct Stretch {
  std::uint8_t low;
  std::uint16_t part;
};

/// Pillow's weights of R, G and B in grey, their high bytes and their low bytes. The kernels read
/// them from another file: GCC 12 makes three shifts and additions of a product with a number it
/// knows, which doubles the time of grayscale.
extern const std::array<std::uint16_t, 3> gray_weights_high, gray_weights_low;

/// One instruction set's operations that leave a pixel in its place, in place.
struct ColorKernels {
  // What treats all bytes alike takes `count` of them at once, and changes up to kernel_slack bytes
  // behind them too.

  void (*keep_bits)(std::uint8_t* bytes, std::size_t count, std::uint8_t mask);
  /// Inverts the values from `first` on.
  void (*invert)(std::uint8_t* bytes, std::size_t count, std::uint8_t first);
  /// Adds to the values below 128, up to 255.
  void (*add_below_128)(std::uint8_t* bytes, std::size_t count, std::uint8_t addend);
  void (*blend)(std::uint8_t* bytes, std::size_t count, std::uint8_t base, const Blend& by);

  // What treats channels apart or together takes one row, and keeps to its planes of `stride`
  // bytes, a multiple of 16.

  void (*look_up)(std::uint8_t* plane, std::size_t stride, const std::uint8_t* table);
  void (*stretch)(std::uint8_t* plane, std::size_t stride, Stretch by);
  void (*grayscale)(std::uint8_t* row, std::size_t stride);
  /// Blends a pixel with its grey.
  void (*saturate)(std::uint8_t* row, std::size_t stride, const Blend& by);

  // What is asked of the whole image, whose rows are 3 * stride bytes apart.

  /// The least and the largest value of a plane.
  std::array<std::uint8_t, 2> (*range)(const std::uint8_t* plane, std::size_t stride, int height,
                                       int width);
  /// The sum of the pixels' greys.
  std::uint64_t (*gray_sum)(const std::uint8_t* rows, std::size_t stride, int height, int width);
};

/// The kernels of the best instruction set that this machine has and Highway has not disabled.
const ColorKernels& color_kernels();

}  // namespace ringfeed::augment
