#include "decode/jpeg/entropy/huffman_table.h"

#include <algorithm>

namespace ringfeed::decode {
namespace {

constexpr int longest_code = 16;
/// Shorter ones have an entry: with a value, of 15 bits at most, they are short enough for one.
constexpr int shortest_without_entry = HuffmanTable::longest_entry - 15 + 1;
static_assert(shortest_without_entry < HuffmanTable::dc_bits);

/// What a symbol of `size` bits stands for, which are `value`. (ITU-T T.81, F.2.2.1, EXTEND)
constexpr int extended(int value, int size) {
  return value >> (size - 1) == 0 ? value - (1 << size) + 1 : value;
}

/// As libjpeg reads AC symbols: whatever has no value, but for a run of 16 zeros, ends the block.
unsigned advance_of(int symbol) {
  const int run = symbol >> 4, size = symbol & 15;
  return size == 0 && run != 15 ? HuffmanTable::end_of_block : static_cast<unsigned>(run) + 1;
}

bool is_table(const JHUFF_TBL& table, bool is_dc) {
  int code = 0, count = 0;
  for (int length = 1; length <= longest_code; ++length, code <<= 1) {
    code += table.bits[length];
    count += table.bits[length];
    if (code > 1 << length) return false;
  }
  if (count > 256) return false;
  return !is_dc ||
         std::all_of(table.huffval, table.huffval + count, [](UINT8 size) { return size < 16; });
}

}  // namespace

bool HuffmanTable::build(const JHUFF_TBL& table, bool is_dc) {
  if (!is_table(table, is_dc)) return false;
  const int bits = is_dc ? dc_bits : ac_bits;
  std::fill_n(entries_.begin(), 1 << bits, Entry{unknown << 8, 0});
  std::copy_n(std::begin(table.huffval), symbols_.size(), symbols_.begin());
  int code = 0, at = 0;
  ends_[0] = 0;
  for (int length = 1; length <= longest_code; ++length, code <<= 1) {
    first_symbol_[static_cast<std::size_t>(length)] = at - code;
    for (const int last = at + table.bits[length]; at < last; ++at, ++code) {
      const int symbol = symbols_[static_cast<std::size_t>(at)];
      const int size = is_dc ? symbol : symbol & 15, whole = length + size;
      const bool has_sign = size == 0 || length < bits;
      if (length > bits || !has_sign || (!is_dc && whole > longest_entry)) continue;
      const unsigned advance = is_dc ? 1 : advance_of(symbol);
      const int below = bits - length;  // bits of the index behind the code
      for (int rest = 0; rest < 1 << below; ++rest) {
        const bool negative = size != 0 && (rest >> (below - 1)) == 0;
        const int offset = -(code << size) - (negative ? (1 << size) - 1 : 0);
        entries_[static_cast<std::size_t>((code << below) + rest)] = {
            static_cast<std::uint16_t>(static_cast<unsigned>(whole) | advance << 8),
            static_cast<std::uint16_t>(offset)};
      }
    }
    ends_[static_cast<std::size_t>(length)] = static_cast<std::uint32_t>(code)
                                              << (longest_code - length);
  }
  return true;
}

HuffmanTable::LongSymbol HuffmanTable::long_symbol(std::uint64_t window,
                                                   bool is_dc) const noexcept {
  const auto next16 = static_cast<std::uint32_t>(window >> 48);
  int code_length = shortest_without_entry;
  while (code_length <= longest_code && next16 >= ends_[static_cast<std::size_t>(code_length)]) {
    ++code_length;
  }
  LongSymbol found;
  if (is_dc) found.advance = 1;
  if (code_length > longest_code) return found;
  const int at = static_cast<int>(next16 >> (longest_code - code_length)) +
                 first_symbol_[static_cast<std::size_t>(code_length)];
  const int symbol = symbols_[static_cast<std::size_t>(at)];
  const int size = symbol & 15;
  found.assigned = true;
  found.length = static_cast<std::uint32_t>(code_length + size);
  if (!is_dc) found.advance = advance_of(symbol);
  if (size != 0) {
    const int bits = static_cast<int>(window << code_length >> (64 - size));
    found.value = static_cast<std::uint32_t>(extended(bits, size));
  }
  return found;
}

}  // namespace ringfeed::decode
