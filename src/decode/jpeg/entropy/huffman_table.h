#pragma once

#include <array>
#include <cstdint>

// clang-format off
#include <cstdio>  // jpeglib.h uses size_t and FILE without declaring them
#include <jpeglib.h>
// clang-format on

namespace ringfeed::decode {

/// One Huffman table of a sequential JPEG, in the form that decodes a symbol and the value behind
/// it by one look-up.
///
/// An entry is indexed by the next `bits` bits of the scan and holds, from its lowest bit on:
///   8 bits  length: of code and value together, in bits; 0: none, see long_symbol()
///   8 bits  advance: by how much the index of the next coefficient grows
///  16 bits  offset: value = int16((the next `length` bits) + offset), code and sign included
/// The offset is known as soon as the code and the value's first bit, which is its sign, lie within
/// the `bits`; the rest of the value may lie beyond them.
class HuffmanTable {
 public:
  /// 8 KiB for AC. Two tables of each kind, the blocks and the scan share 32 KiB or more of L1.
  static constexpr int ac_bits = 11, dc_bits = 9;
  /// An advance from these on ends the block, or names no symbol. A coefficient's index is below
  /// 64, and its advance at most 16, so that what an index has become tells which it was.
  static constexpr unsigned end_of_block = 80, unknown = 160;
  /// Code and value of an AC entry together: three of them fit in one window of 57 bits.
  static constexpr int longest_entry = 19;

  /// False for what is no table: more codes than a length has, or symbols than there are, or a DC
  /// difference of more than 15 bits. (ITU-T T.81, C.2 and F.1.2.1)
  bool build(const JHUFF_TBL& table, bool is_dc);

  struct Entry {
    std::uint16_t length_and_advance;
    std::uint16_t offset;
  };
  const Entry* entries() const noexcept { return entries_.data(); }

  /// A symbol and its value, read without an entry.
  struct LongSymbol {
    std::uint32_t length = 16;  ///< of both, in bits; how many to pass over where there is no code
    std::uint32_t advance = end_of_block;
    std::uint32_t value = 0;
    bool assigned = false;  ///< the bits begin a code
  };
  /// The one at the head of `window`, whose first 31 bits or more are the scan's. For those alone
  /// that have no entry.
  LongSymbol long_symbol(std::uint64_t window, bool is_dc) const noexcept;

 private:
  alignas(64) std::array<Entry, std::size_t{1} << ac_bits> entries_;
  std::array<std::uint32_t, 17> ends_;  ///< of the codes of each length, left-aligned in 16 bits
  std::array<int, 17> first_symbol_;    ///< of each length, less its first code
  std::array<std::uint8_t, 256> symbols_;
};

}  // namespace ringfeed::decode
