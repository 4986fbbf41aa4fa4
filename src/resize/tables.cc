#include "resize/tables.h"

#include <algorithm>
#include <bit>

#include "base/planar.h"

namespace ringfeed::resize {
namespace {

/// Two taps side by side in the halves of a word, as a pairwise multiply-add wants them.
std::int32_t word(std::int16_t first, std::int16_t second) {
  return static_cast<std::int32_t>(static_cast<std::uint16_t>(first) |
                                   static_cast<std::uint32_t>(static_cast<std::uint16_t>(second))
                                       << 16);
}

struct PairWords {
  std::int32_t high;
  std::int32_t low;
};

/// Taps 2 * pair and 2 * pair + 1 after `lead` leading zeros.
PairWords pair_words(const std::int32_t* weights, int taps, int lead, int pair, bool clips) {
  const auto tap = [&](int index) {
    const int i = index - lead;
    return split(i >= 0 && i < taps ? weights[i] : 0, clips);
  };
  const SplitWeight a = tap(2 * pair);
  const SplitWeight b = tap(2 * pair + 1);
  return {word(a.high, b.high), word(a.low, b.low)};
}

}  // namespace

void build_horizontal(const AxisWeights& axis, int lanes, HorizontalTable& table) {
  const int width = static_cast<int>(axis.first.size());
  const int block = 4 * lanes;
  table.pairs = std::max(1, (axis.max_taps + 1) / 2);
  if (table.pairs > 7) table.pairs += table.pairs % 2;
  table.blocks = (width + block - 1) / block;
  table.clips = axis.overshoots;
  table.stride = plane_stride(width);
  const auto pixels = static_cast<std::size_t>(table.blocks * block);
  const auto pairs = static_cast<std::size_t>(table.pairs);
  table.offsets.assign(pixels, 0);
  table.weights.assign(pixels * pairs * 16, 0);

  // A pixel near the right edge has fewer taps than the loop runs: it starts further left, behind
  // zero weights, so that no load goes more than 16 bytes past the row's end.
  const int last_start = std::max(0, axis.source_count - 2 * table.pairs);
  const auto vector_halfwords = static_cast<std::size_t>(lanes) * 8;
  std::size_t slot = 0;
  for (int b = 0; b < table.blocks; ++b) {
    for (int v = 0; v < 4; ++v) {
      for (int lane = 0; lane < lanes; ++lane, ++slot) {
        const int x = b * block + 4 * lane + v;
        if (x >= width || axis.taps[static_cast<std::size_t>(x)] == 0) continue;
        const auto at = static_cast<std::size_t>(x);
        const int start = std::min(axis.first[at], last_start);
        table.offsets[slot] = start * 3;
        const std::size_t vector = slot / static_cast<std::size_t>(lanes);
        for (std::size_t p = 0; p < pairs; ++p) {
          const PairWords words = pair_words(axis.of(x), axis.taps[at], axis.first[at] - start,
                                             static_cast<int>(p), table.clips);
          std::int16_t* high = table.weights.data() + (vector * pairs + p) * 2 * vector_halfwords +
                               static_cast<std::size_t>(lane) * 8;
          std::int16_t* low = high + vector_halfwords;
          for (int channel = 0; channel < 3; ++channel) {
            high[2 * channel] = static_cast<std::int16_t>(words.high);
            high[2 * channel + 1] = static_cast<std::int16_t>(words.high >> 16);
            low[2 * channel] = static_cast<std::int16_t>(words.low);
            low[2 * channel + 1] = static_cast<std::int16_t>(words.low >> 16);
          }
        }
      }
    }
  }
}

void build_vertical(const AxisWeights& axis, VerticalTable& table) {
  const std::size_t height = axis.first.size();
  table.pairs = std::max(1, (axis.max_taps + 1) / 2);
  table.clips = axis.overshoots;
  table.words.resize(height * static_cast<std::size_t>(table.pairs) * 2);
  std::int32_t* words = table.words.data();
  int pushed = 0;
  int kept = 1;
  for (std::size_t y = 0; y < height; ++y) {
    pushed = std::max(pushed, axis.first[y] + axis.taps[y]);
    if (axis.taps[y] > 0) kept = std::max(kept, pushed - axis.first[y]);
    for (int p = 0; p < table.pairs; ++p) {
      const PairWords pair =
          pair_words(axis.of(static_cast<int>(y)), axis.taps[y], 0, p, table.clips);
      *words++ = pair.high;
      *words++ = pair.low;
    }
  }
  table.ring_rows = static_cast<int>(std::bit_ceil(static_cast<unsigned>(kept)));
}

}  // namespace ringfeed::resize
