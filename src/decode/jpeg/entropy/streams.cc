#include "decode/jpeg/entropy/streams.h"

#include <array>
#include <bit>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/jpeg/entropy/streams.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef RINGFEED_DECODE_JPEG_STREAMS_ONCE
#define RINGFEED_DECODE_JPEG_STREAMS_ONCE
namespace ringfeed::decode {
namespace {

/// Where the coefficient goes that has made `next` this: natural order, and a place behind the
/// block for what is none.
constexpr std::array<std::uint8_t, 256> slot_table = [] {
  std::array<std::uint8_t, 256> all{};
  all.fill(block_size);
  for (std::size_t i = 0; i < block_size; ++i) all[i + 1] = natural_order[i];
  return all;
}();

/// Without the library's check of the index, which is below 256: of the longest advances one is
/// added to an index below 64.
inline std::uint8_t slot(unsigned next) { return slot_table.data()[next]; }

/// A DC difference whose code or sign is not within a table's index. Returns its length.
[[gnu::noinline]] std::uint64_t long_dc(const HuffmanTable& table, std::uint64_t window,
                                        Stream& stream, Coefficient* block) {
  ++stream.escapes;
  const HuffmanTable::LongSymbol symbol = table.long_symbol(window, true);
  if (!symbol.assigned) stream.bad = block;
  *block = static_cast<Coefficient>(symbol.value);
  return symbol.length;
}

struct After {
  std::uint64_t position;
  unsigned next;
};

/// An AC coefficient of that kind.
[[gnu::noinline]] After long_ac(const HuffmanTable& table, std::uint64_t window, Stream& stream,
                                Coefficient* block, After before) {
  ++stream.escapes;
  const HuffmanTable::LongSymbol symbol = table.long_symbol(window, false);
  if (!symbol.assigned) stream.bad = block;
  const unsigned next = before.next + symbol.advance;
  block[slot(next)] = static_cast<Coefficient>(symbol.value);
  return {before.position + symbol.length, next};
}

}  // namespace
}  // namespace ringfeed::decode
#endif

// Compiled for every target for its shifts, which on x86 come with AVX2 (BMI2).
HWY_BEFORE_NAMESPACE();
namespace ringfeed::decode {
namespace HWY_NAMESPACE {
namespace {

/// The state of a stream, in registers.
struct Cursor {
  std::uint64_t window;
  Coefficient* block;
  const HuffmanTable::Entry* entries;  // of the block's AC table
  /// 8 bits: how many of the window's bits are used up; then the index of the next coefficient. One
  /// addition of an entry's length and advance moves both on.
  std::uint32_t used_and_next;
  std::uint64_t position;  // where the window begins

  HWY_INLINE unsigned next() const { return used_and_next >> 8; }
  HWY_INLINE void refill(const std::uint8_t* bytes) {
    position += used_and_next & 0xFF;
    used_and_next &= ~0xFFU;
    window = window_at(bytes, position);
  }
};

/// As many of the word as the lowest 8 bits of `count` say.
HWY_INLINE std::uint64_t lowest_bits(std::uint64_t word, std::uint32_t count) {
#if HWY_ARCH_X86_64 && HWY_TARGET <= HWY_AVX2
  return __builtin_ia32_bzhi_di(word, count);  // which GCC does not find by itself
#else
  return word & ((std::uint64_t{1} << (count & 63)) - 1);
#endif
}

HWY_INLINE void begin_block(const Scan& scan, Stream& stream, Cursor& at) {
  *stream.start++ = static_cast<std::uint32_t>(at.position);
  std::memset(at.block, 0, block_size * sizeof(Coefficient));
  const auto place = static_cast<std::size_t>(stream.in_mcu);
  const HuffmanTable& dc = *scan.dc[place];
  const std::uint64_t window = window_at(scan.bytes, at.position);
  const HuffmanTable::Entry entry = dc.entries()[window >> (64 - HuffmanTable::dc_bits)];
  if (const unsigned length = entry.length_and_advance & 0xFF; HWY_LIKELY(length != 0)) {
    *at.block = static_cast<Coefficient>((window >> (64 - length)) + entry.offset);
    at.position += length;
  } else {
    at.position += long_dc(dc, window, stream, at.block);
  }
  at.entries = scan.ac[place]->entries();
  at.used_and_next = 1 << 8;
  at.window = window_at(scan.bytes, at.position);
}

/// True: the stream has stopped. `next` has reached what is no index: the block is complete, or
/// no look-up.
HWY_INLINE bool leave_block(const Scan& scan, Stream& stream, Cursor& at) {
  unsigned next = at.next();
  at.position += at.used_and_next & 0xFF;
  if (next >= HuffmanTable::unknown) {
    const After after = long_ac(*scan.ac[static_cast<std::size_t>(stream.in_mcu)],
                                window_at(scan.bytes, at.position), stream, at.block,
                                {at.position, next - HuffmanTable::unknown});
    at.position = after.position;
    next = after.next;
    if (next < block_size) {
      at.used_and_next = next << 8;
      at.window = window_at(scan.bytes, at.position);
      return false;
    }
  }
  if (next > block_size && next < HuffmanTable::end_of_block) stream.bad = at.block;
  at.block += block_size;
  stream.in_mcu = stream.in_mcu + 1 == scan.blocks_in_mcu ? 0 : stream.in_mcu + 1;
  if (at.position >= stream.limit || at.block == stream.end) {
    at.used_and_next = 0;
    return true;
  }
  begin_block(scan, stream, at);
  return false;
}

HWY_INLINE bool decode_symbol(const Scan& scan, Stream* const* stream, Cursor& at) {
  const HuffmanTable::Entry& entry = at.entries[at.window >> (64 - HuffmanTable::ac_bits)];
  const std::uint32_t move = entry.length_and_advance;
  // Rotated, so that the symbol's bits are the lowest ones. They stay there: no look-up comes to
  // them.
  at.window = std::rotl(at.window, static_cast<int>(move & 63));
  const std::uint64_t value = lowest_bits(at.window, move) + entry.offset;
  at.used_and_next += move;
  at.block[slot(at.next())] = static_cast<Coefficient>(value);
  return HWY_UNLIKELY(at.used_and_next >= block_size << 8) && leave_block(scan, **stream, at);
}

template <int count>
int advance_all(const Scan& scan, Stream* const* streams) {
  constexpr int symbols_in_window = 57 / HuffmanTable::longest_entry;
  Cursor at[count];
#pragma GCC unroll 8
  for (int i = 0; i < count; ++i) {
    Stream& stream = *streams[i];
    const auto place = static_cast<std::size_t>(stream.in_mcu);
    at[i] = {0, stream.block, scan.ac[place]->entries(), stream.next << 8, stream.position};
    if (stream.next == 0) {
      begin_block(scan, stream, at[i]);
    } else {
      at[i].window = window_at(scan.bytes, at[i].position);
    }
  }
  const auto stop = [&](int stopped) {
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) {
      streams[i]->position = at[i].position + (i == stopped ? 0 : at[i].used_and_next & 0xFF);
      streams[i]->block = at[i].block;
      streams[i]->next = at[i].next();
    }
    return stopped;
  };
  while (true) {
#pragma GCC unroll 8
    for (int symbol = 0; symbol < symbols_in_window; ++symbol) {
#pragma GCC unroll 8
      for (int i = 0; i < count; ++i) {
        if (HWY_UNLIKELY(decode_symbol(scan, streams + i, at[i]))) return stop(i);
      }
    }
#pragma GCC unroll 8
    for (int i = 0; i < count; ++i) at[i].refill(scan.bytes);
  }
}

int advance_streams(const Scan& scan, Stream* const* streams, int count) {
  switch (count) {
    case 1: return advance_all<1>(scan, streams);
    case 2: return advance_all<2>(scan, streams);
    case 3: return advance_all<3>(scan, streams);
    case 4: return advance_all<4>(scan, streams);
    default: return advance_all<5>(scan, streams);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::decode
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::decode {

HWY_EXPORT(advance_streams);

int advance(const Scan& scan, Stream* const* streams, int count) {
  return HWY_DYNAMIC_DISPATCH(advance_streams)(scan, streams, count);
}

}  // namespace ringfeed::decode
#endif
