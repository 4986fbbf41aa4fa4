#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "decode/jpeg/entropy/huffman_table.h"

namespace ringfeed::decode {

using Coefficient = JCOEF;                     // 16 bits
inline constexpr std::size_t block_size = 64;  ///< coefficients, in natural order
/// Where the coefficients go in the order in which they are written. (ITU-T T.81, figure A.6)
inline constexpr std::array<std::uint8_t, block_size> natural_order = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};
inline constexpr std::size_t most_blocks_in_mcu = 10;
/// No block takes more bytes: 1 + 63 symbols of at most 31 bits.
inline constexpr std::size_t longest_block = 256;
/// In front of a marker, to a whole byte.
inline constexpr std::uint64_t most_padding_bits = 7;

/// The single scan of a sequential Huffman-coded frame: what a block in it is made of.
struct Scan {
  const std::uint8_t* bytes = nullptr;  ///< without stuffed zeros
  std::uint32_t blocks = 0;             ///< of the whole image
  std::uint32_t interval = 0;           ///< from one restart to the next; 0: there are none
  int blocks_in_mcu = 0;
  /// By a block's place in its MCU.
  std::array<const HuffmanTable*, most_blocks_in_mcu> dc{}, ac{};
  std::array<std::uint8_t, most_blocks_in_mcu> component{};
};

/// The bits of a scan from `position` on, left-aligned: 57 at least, then zeros.
inline std::uint64_t window_at(const std::uint8_t* bytes, std::uint64_t position) {
  std::uint64_t window;
  std::memcpy(&window, bytes + static_cast<std::size_t>(position >> 3), sizeof window);
  if constexpr (std::endian::native == std::endian::little) window = __builtin_bswap64(window);
  return window << (position & 7);
}

}  // namespace ringfeed::decode
