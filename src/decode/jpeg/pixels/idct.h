#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "decode/jpeg/entropy/scan.h"

namespace ringfeed::decode {

/// The bounds within which libjpeg's inverse DCT gives the same in C, whose numbers have 32 bits,
/// and in its vector code: a dequantised coefficient has 16 bits, and |pixel - 128| < 2^9 before it
/// is clamped. C takes pixels from a table of 2^10 entries, and from its other end where they are
/// farther away.
///
/// All else follows, because the transform keeps lengths, up to a factor: a block's coefficients
/// are no longer than its 64 pixels, 2^9 * 8 = 2^12, and between the passes (with 2 bits behind the
/// point, sqrt(8) times too large) a row is no longer than 8 pixels, 2^9 * 8 * 4 = 2^14. So neither
/// the sums of two that vector code makes in 16 bits nor what it keeps between the passes can wrap.
/// The sums of products here cannot, whatever the coefficients: 7.5 * 2^13 (their weights) * 2^15
/// is less than 2^31. What has 17 bits between the passes becomes the largest number of 16 bits,
/// which makes a pixel of 2^10 at least.
struct DctBounds {
  static constexpr int coefficient = 1 << 15, pixel = 1 << 9;
};

/// What a component's coefficients are multiplied by, in natural order.
struct DctTable {
  /// libjpeg keeps them in 16 bits, whatever they are.
  void set(const JQUANT_TBL& table);

  alignas(64) std::array<std::int16_t, block_size> factors;
  /// No coefficient of a larger magnitude is within the bounds.
  alignas(64) std::array<std::uint16_t, block_size> most;
};

/// Blocks are made in groups of so many.
inline constexpr int dct_group = 4;

/// Pixels of `count` blocks, a multiple of dct_group, side by side: 8 rows, `stride` bytes apart.
/// libjpeg's JDCT_ISLOW. False: a block leaves the bounds, and the pixels are any.
bool inverse_dct(const DctTable& table, const Coefficient* const* blocks, int count,
                 std::uint8_t* pixels, std::size_t stride);

}  // namespace ringfeed::decode
