#include "decode/jpeg/entropy/lanes.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#define HWY_WANT_AVX3_DL  // Highway's name of AVX-512 with VBMI2
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/jpeg/entropy/lanes.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef RINGFEED_DECODE_JPEG_LANES_ONCE
#define RINGFEED_DECODE_JPEG_LANES_ONCE
namespace ringfeed::decode {
namespace {

/// Of this index the next coefficient is behind the one whose place in natural order is here; the
/// 64th's comes first.
alignas(64) constexpr std::array<std::uint8_t, block_size> natural_before = [] {
  std::array<std::uint8_t, block_size> all{};
  for (std::size_t i = 0; i < block_size; ++i) all[(i + 1) % block_size] = natural_order[i];
  return all;
}();

using Numbers = std::array<std::uint32_t, most_lanes>;

/// What lanes know of a scan: by a block's place in its MCU, where its tables begin, in entries
/// from `entries`, and the next block's place.
struct LaneTables {
  const HuffmanTable::Entry* entries = nullptr;
  alignas(64) Numbers dc{}, ac{}, next_place{};
};

/// False where the tables lie too far apart for an index of 32 bits.
bool find_tables(const Scan& scan, LaneTables& tables) {
  tables.entries = scan.dc[0]->entries();
  const auto distance = [&](const HuffmanTable& table, std::uint32_t& to) {
    const auto bytes = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(table.entries()) -
                                                 reinterpret_cast<std::uintptr_t>(tables.entries));
    const std::int64_t entries = bytes / std::int64_t{sizeof(HuffmanTable::Entry)};
    to = static_cast<std::uint32_t>(entries);
    return entries < (1 << 30) && entries > -(1 << 30);
  };
  for (std::size_t i = 0; i < static_cast<std::size_t>(scan.blocks_in_mcu); ++i) {
    if (!distance(*scan.dc[i], tables.dc[i]) || !distance(*scan.ac[i], tables.ac[i])) return false;
    tables.next_place[i] =
        static_cast<std::uint32_t>((static_cast<int>(i) + 1) % scan.blocks_in_mcu);
  }
  return true;
}

}  // namespace
}  // namespace ringfeed::decode
#endif

HWY_BEFORE_NAMESPACE();
namespace ringfeed::decode {
namespace HWY_NAMESPACE {
namespace {

#if HWY_ARCH_X86_64 && HWY_TARGET == HWY_AVX3_DL

/// A step decodes a symbol; a block has two at least.
constexpr int steps_between_checks = 32;
constexpr std::uint32_t most_begun = steps_between_checks / 2;

constexpr std::uint32_t dc_shift = 32 - HuffmanTable::dc_bits;
constexpr std::uint32_t ac_shift = 32 - HuffmanTable::ac_bits;

HWY_INLINE __m512i all(std::uint32_t value) { return _mm512_set1_epi32(static_cast<int>(value)); }
HWY_INLINE __m512i load(const Numbers& numbers) { return _mm512_load_si512(numbers.data()); }
HWY_INLINE void store(Numbers& numbers, __m512i vector) {
  _mm512_store_si512(numbers.data(), vector);
}
HWY_INLINE std::size_t count_of(__mmask16 lanes) {
  return static_cast<std::size_t>(std::popcount(static_cast<unsigned>(lanes)));
}

/// What of a lane changes. Of those that have stopped, `position` and `block` stay.
struct Lanes {
  __m512i position;   // of the next bit
  __m512i window;     // the 32 bits from there on
  __m512i next;       // index of the next coefficient; 0: the block begins
  __m512i block;      // in coefficients from the first stream's
  __m512i place;      // in the MCU
  __m512i entries;    // where the table begins that comes next
  __m512i shift;      // 32 less the bits that index it
  __mmask16 running;  // bit by lane
};

/// What does not.
struct Bounds {
  __m512i limit, end, dc, ac, next_place, natural, numbers;
};

/// Where blocks have begun since the last check: position and, in the lowest 4 bits, lane.
struct Starts {
  std::array<std::uint32_t, (steps_between_checks + 1) * most_lanes> all;
};

struct Symbols {
  __m512i entry, value;
};

HWY_INLINE __m512i bytes_at(const std::uint8_t* bytes, __m512i position) {
  const __m512i swap =
      _mm512_broadcast_i32x4(_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
  const __m512i word = _mm512_i32gather_epi32(_mm512_srli_epi32(position, 3), bytes, 1);
  return _mm512_shuffle_epi8(word, swap);
}

/// The 32 bits behind a window, of which 25 are right at least.
HWY_INLINE __m512i bits_behind(const std::uint8_t* bytes, __m512i position) {
  return _mm512_sllv_epi32(bytes_at(bytes + 4, position), _mm512_and_si512(position, all(7)));
}

HWY_INLINE __m512i windows_at(const std::uint8_t* bytes, __m512i position) {
  return _mm512_shldv_epi32(bytes_at(bytes, position), bytes_at(bytes + 4, position),
                            _mm512_and_si512(position, all(7)));
}

/// Streams in lockstep.
class Lockstep {
 public:
  Lockstep(const Scan& scan, const LaneTables& tables, Stream** streams, int count)
      : scan_(scan),
        tables_(tables),
        streams_(streams),
        count_(static_cast<std::size_t>(count)),
        base_(streams[0]->block) {}

  int run() {
    Bounds bounds;
    Lanes at = begin(bounds);
    Starts starts;
    while (count_of(at.running) >= fewest_lanes) {
      clear_ahead(at, bounds);
      std::size_t begun = 0;
      for (int i = 0; i < steps_between_checks; ++i) step(at, bounds, starts, begun);
      for (std::size_t i = 0; i < begun; ++i) {
        *streams_[starts.all[i] % most_lanes]->start++ = starts.all[i] / most_lanes;
      }
    }
    return end(at);
  }

 private:
  Lanes begin(Bounds& bounds) {
    alignas(64) Numbers position{}, next{}, block, place{}, limit{}, end{};
    // What a lane without a stream writes goes behind the first one's blocks.
    block.fill(static_cast<std::uint32_t>(streams_[0]->end - base_));
    for (std::size_t i = 0; i < count_; ++i) {
      const Stream& stream = *streams_[i];
      position[i] = static_cast<std::uint32_t>(stream.position);
      next[i] = stream.next;
      block[i] = static_cast<std::uint32_t>(stream.block - base_);
      place[i] = static_cast<std::uint32_t>(stream.in_mcu);
      limit[i] = static_cast<std::uint32_t>(stream.limit);
      end[i] = static_cast<std::uint32_t>(stream.end - base_);
      cleared_[i] = block[i] + (next[i] == 0 ? 0 : block_size);
    }
    bounds = {load(limit),
              load(end),
              load(tables_.dc),
              load(tables_.ac),
              load(tables_.next_place),
              _mm512_load_si512(natural_before.data()),
              _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
    Lanes at;
    at.position = load(position);
    at.window = windows_at(scan_.bytes, at.position);
    at.next = load(next);
    at.block = load(block);
    at.place = load(place);
    const __mmask16 begins = _mm512_testn_epi32_mask(at.next, at.next);
    at.entries = _mm512_permutexvar_epi32(at.place, bounds.ac);
    at.entries = _mm512_mask_permutexvar_epi32(at.entries, begins, at.place, bounds.dc);
    at.shift = _mm512_mask_mov_epi32(all(ac_shift), begins, all(dc_shift));
    at.running = static_cast<__mmask16>((1U << count_) - 1);
    return at;
  }

  int end(const Lanes& at) {
    alignas(64) Numbers position, next, block, place;
    store(position, at.position);
    store(next, at.next);
    store(block, at.block);
    store(place, at.place);
    int left = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      Stream& stream = *streams_[i];
      stream.position = position[i];
      stream.next = next[i];
      stream.block = base_ + static_cast<std::int32_t>(block[i]);
      stream.in_mcu = static_cast<int>(place[i]);
      if ((at.running >> i & 1) != 0) streams_[left++] = &stream;
    }
    return left;
  }

  /// So that blocks are zeros when they begin.
  HWY_INLINE void clear_ahead(const Lanes& at, const Bounds& bounds) {
    constexpr std::uint32_t most = most_begun * block_size;
    const __m512i wanted =
        _mm512_min_epi32(bounds.end, _mm512_add_epi32(at.block, all(most + block_size)));
    const __mmask16 short_of = _mm512_mask_cmplt_epi32_mask(at.running, load(cleared_), wanted);
    if (short_of == 0) return;
    alignas(64) Numbers ends;
    store(ends, bounds.end);
    for (unsigned which = short_of; which != 0; which &= which - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(which));
      const auto from = static_cast<std::int32_t>(cleared_[i]);
      const auto to = std::min(from + static_cast<std::int32_t>(most + block_size),
                               static_cast<std::int32_t>(ends[i]));
      std::memset(base_ + from, 0, static_cast<std::size_t>(to - from) * sizeof(Coefficient));
      cleared_[i] = static_cast<std::uint32_t>(to);
    }
  }

  HWY_INLINE void step(Lanes& at, const Bounds& bounds, Starts& starts, std::size_t& begun) const {
    const __mmask16 begins = _mm512_mask_testn_epi32_mask(at.running, at.next, at.next);
    const __m512i start = _mm512_or_si512(_mm512_slli_epi32(at.position, 4), bounds.numbers);
    _mm512_storeu_si512(starts.all.data() + begun, _mm512_maskz_compress_epi32(begins, start));
    begun += count_of(begins);

    const __m512i behind = bits_behind(scan_.bytes, at.position);
    const __m512i index = _mm512_add_epi32(_mm512_srlv_epi32(at.window, at.shift), at.entries);
    Symbols read;
    read.entry = _mm512_i32gather_epi32(index, tables_.entries, sizeof(HuffmanTable::Entry));
    const __m512i bits = _mm512_srlv_epi32(
        at.window, _mm512_sub_epi32(all(32), _mm512_and_si512(read.entry, all(0xFF))));
    read.value = _mm512_add_epi32(bits, _mm512_srli_epi32(read.entry, 16));
    const __mmask16 unknown =
        _mm512_mask_test_epi32_mask(at.running, read.entry, all(highest_of_advance));
    if (HWY_UNLIKELY(unknown != 0)) {
      read = read_unknown(unknown, begins, at.position, at.place, at.block, read);
    }

    const __m512i length = _mm512_and_si512(read.entry, all(0xFF));
    const __m512i advance = _mm512_and_si512(_mm512_srli_epi32(read.entry, 8), all(0xFF));
    at.position = _mm512_mask_add_epi32(at.position, at.running, at.position, length);
    at.window = _mm512_shldv_epi32(at.window, behind, length);
    if (HWY_UNLIKELY(unknown != 0)) at.window = windows_at(scan_.bytes, at.position);
    at.next = _mm512_mask_add_epi32(at.next, at.running, at.next, advance);
    put(at, bounds, read.value);
    leave_blocks(at, bounds, begins);
  }

  /// To the place that `next` has passed, or behind the block where that is none.
  HWY_INLINE void put(const Lanes& at, const Bounds& bounds, __m512i value) const {
    constexpr __mmask64 lowest_bytes = 0x1111'1111'1111'1111;
    __m512i slot = _mm512_maskz_permutexvar_epi8(lowest_bytes, at.next, bounds.natural);
    slot = _mm512_mask_mov_epi32(slot, _mm512_cmpgt_epi32_mask(at.next, all(block_size)),
                                 all(block_size));
    alignas(64) Numbers to, values;
    store(to, _mm512_add_epi32(at.block, slot));
    store(values, value);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < most_lanes; ++i) {
      base_[static_cast<std::int32_t>(to[i])] = static_cast<Coefficient>(values[i]);
    }
  }

  HWY_INLINE void leave_blocks(Lanes& at, const Bounds& bounds, __mmask16 begins) const {
    const __mmask16 ends = _mm512_mask_cmpge_epi32_mask(at.running, at.next, all(block_size));
    const __mmask16 beyond =
        _mm512_mask_cmplt_epu32_mask(ends, _mm512_sub_epi32(at.next, all(block_size + 1)),
                                     all(HuffmanTable::end_of_block - block_size - 1));
    if (HWY_UNLIKELY(beyond != 0)) mark_bad(beyond, at.block);
    at.block = _mm512_mask_add_epi32(at.block, ends, at.block, all(block_size));
    at.entries = _mm512_mask_permutexvar_epi32(at.entries, begins, at.place, bounds.ac);
    at.place = _mm512_mask_permutexvar_epi32(at.place, ends, at.place, bounds.next_place);
    at.entries = _mm512_mask_permutexvar_epi32(at.entries, ends, at.place, bounds.dc);
    at.shift = _mm512_mask_mov_epi32(at.shift, begins, all(ac_shift));
    at.shift = _mm512_mask_mov_epi32(at.shift, ends, all(dc_shift));
    at.next = _mm512_mask_mov_epi32(at.next, ends, _mm512_setzero_si512());
    const unsigned stop = _mm512_mask_cmpge_epu32_mask(ends, at.position, bounds.limit) |
                          _mm512_mask_cmpeq_epi32_mask(ends, at.block, bounds.end);
    at.running = static_cast<__mmask16>(at.running & ~stop);
  }

  HWY_NOINLINE void mark_bad(unsigned which, __m512i block) const {
    alignas(64) Numbers blocks;
    store(blocks, block);
    for (; which != 0; which &= which - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(which));
      streams_[i]->bad = base_ + static_cast<std::int32_t>(blocks[i]);
    }
  }

  HWY_NOINLINE Symbols read_unknown(unsigned which, unsigned begins, __m512i position,
                                    __m512i place, __m512i block, Symbols read) const {
    alignas(64) Numbers positions, places, entries, values;
    store(positions, position);
    store(places, place);
    store(entries, read.entry);
    store(values, read.value);
    unsigned bad = 0;
    for (; which != 0; which &= which - 1) {
      const auto i = static_cast<std::size_t>(std::countr_zero(which));
      const bool is_dc = (begins >> i & 1) != 0;
      const HuffmanTable& table = *(is_dc ? scan_.dc : scan_.ac)[places[i]];
      const HuffmanTable::LongSymbol symbol =
          table.long_symbol(window_at(scan_.bytes, positions[i]), is_dc);
      entries[i] = symbol.length | symbol.advance << 8;
      values[i] = symbol.value;
      if (!symbol.assigned) bad |= 1U << i;
    }
    if (bad != 0) mark_bad(bad, block);
    return {load(entries), load(values)};
  }

  /// Which `unknown` alone has.
  static constexpr std::uint32_t highest_of_advance = 1 << 15;
  static_assert(HuffmanTable::unknown >= 128 && HuffmanTable::end_of_block < 128);

  const Scan& scan_;
  const LaneTables& tables_;
  Stream** streams_;
  std::size_t count_;
  Coefficient* base_;
  alignas(64) Numbers cleared_{};  ///< up to where each lane's blocks are zeros
};

/// Whether positions and blocks have room in their lanes.
bool fit(Stream* const* streams, int count) {
  return std::all_of(streams, streams + count, [&](const Stream* stream) {
    const std::ptrdiff_t end = stream->end - streams[0]->block;
    return stream->limit < std::uint64_t{1} << 27 && end < (1 << 30) && end > -(1 << 30);
  });
}

int advance_all_lanes(const Scan& scan, Stream** streams, int count) {
  LaneTables tables;
  if (count < fewest_lanes || !fit(streams, count) || !find_tables(scan, tables)) return count;
  return Lockstep(scan, tables, streams, count).run();
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::decode
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::decode {

// Highway's own dispatch must not be used here: it counts the targets that this file is made for,
// in inline functions that the linker takes for those of the other files, which have one fewer.
#if HWY_ARCH_X86_64 && (HWY_TARGETS & HWY_AVX3_DL)
bool has_lanes() {
  static const bool has = (hwy::SupportedTargets() & HWY_AVX3_DL) != 0;
  return has;
}

int advance_lanes(const Scan& scan, Stream** streams, int count) {
  return has_lanes() ? N_AVX3_DL::advance_all_lanes(scan, streams, count) : count;
}
#else
bool has_lanes() { return false; }

int advance_lanes(const Scan&, Stream**, int count) { return count; }
#endif

}  // namespace ringfeed::decode
#endif
