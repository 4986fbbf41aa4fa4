#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "decode/bytes.h"
#include "decode/jpeg/entropy/huffman_table.h"

namespace ringfeed::decode {

using Coefficient = std::int16_t;
inline constexpr std::size_t block_size = 64;  ///< coefficients, in natural order
inline constexpr std::size_t most_blocks_in_mcu = 10;

/// The single scan of a sequential Huffman-coded frame, without restarts, as its decoders read it.
struct Scan {
  /// Zeros behind the bytes. A block that begins within them is read at most 1 + 63 symbols of 31
  /// bits and an 8-byte window further.
  static constexpr std::size_t padding = 288;

  const std::uint8_t* bytes = nullptr;  ///< unstuffed, `padding` behind them
  std::uint32_t bits = 0;               ///< 8 for each of the bytes
  std::uint32_t blocks = 0;             ///< of the whole image
  int blocks_in_mcu = 0;
  /// By a block's place in its MCU.
  std::array<const HuffmanTable*, most_blocks_in_mcu> dc{}, ac{};
  std::array<std::uint8_t, most_blocks_in_mcu> component{};
};

/// The bytes of `scan` up to EOI, stuffed zeros taken out, with Scan::padding behind them. False
/// if anything else stands in between, restart markers and fill bytes included. Some 9 us per 100
/// KB.
bool unstuff(Bytes scan, AlignedVector<std::uint8_t>& bytes, std::size_t& size);

}  // namespace ringfeed::decode
