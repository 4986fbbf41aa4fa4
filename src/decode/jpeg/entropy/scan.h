#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "decode/jpeg/entropy/huffman_table.h"

namespace ringfeed::decode {

using Coefficient = JCOEF;                     // 16 bits
inline constexpr std::size_t block_size = 64;  ///< coefficients, in natural order
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

}  // namespace ringfeed::decode
