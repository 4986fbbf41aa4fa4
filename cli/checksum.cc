#include "checksum.h"

#include <xxhash.h>

#include <array>
#include <cstdio>

namespace ringfeed::cli {

std::uint64_t sample_checksum(std::span<const std::byte> tensor, std::size_t view,
                              std::uint64_t position, std::uint64_t epoch, std::int64_t label,
                              std::uint32_t index) noexcept {
  const std::array<std::uint64_t, 5> words{XXH3_64bits_withSeed(tensor.data(), tensor.size(), view),
                                           position, epoch, static_cast<std::uint64_t>(label),
                                           index};
  return XXH3_64bits(words.data(), sizeof words);
}

std::uint64_t batch_checksum(const Batch& batch, std::uint64_t epoch,
                             std::uint64_t positions) noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch.positions[i] >= positions) continue;
    for (std::size_t v = 0; v < batch.views.size(); ++v) {
      sum += sample_checksum(batch.sample(i, v), v, batch.positions[i], epoch, batch.labels[i],
                             batch.indices[i]);
    }
  }
  return sum;
}

std::string format_checksum(std::uint64_t checksum) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(checksum));
  return text;
}

}  // namespace ringfeed::cli
