#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/entropy/lanes.h"
#include "decode/jpeg/entropy/streams.h"
#include "support/guarded_memory.h"

namespace ringfeed::testing {

/// Streams over `size` bytes of a scan, whose blocks end at a guard and begin at one.
class GuardedStreams {
 public:
  static constexpr std::size_t most_blocks = 31;  // with the one behind them a page
  static_assert((most_blocks + 1) * decode::block_size * sizeof(decode::Coefficient) ==
                GuardedMemory::page);

  GuardedStreams() {
    for (int i = 0; i < decode::most_streams; ++i) {
      memory_.push_back(std::make_unique<GuardedMemory>(GuardedMemory::page));
      starts_.emplace_back(most_blocks);
    }
  }

  void begin(std::size_t size) {
    const std::size_t count = streams_.size();
    for (std::size_t i = 0; i < count; ++i) {
      decode::Stream& stream = streams_[i];
      stream = {};
      stream.position = size * i / count * 8;
      stream.limit = size * (i + 1) / count * 8;
      stream.block = first(i);
      stream.end = stream.block + most_blocks * decode::block_size;
      stream.start = starts_[i].data();
    }
  }

  /// As BandDecoder does.
  void run(const decode::Scan& scan, decode::EntropyBackend backend) {
    std::array<decode::Stream*, decode::most_streams> running;
    for (std::size_t i = 0; i < running.size(); ++i) running[i] = &streams_[i];
    int still = decode::most_streams;
    if (backend == decode::EntropyBackend::lanes)
      still = advance_lanes(scan, running.data(), still);
    for (; still > 0; --still) {
      const int stopped = advance(scan, running.data(), still);
      std::copy(running.begin() + stopped + 1, running.begin() + still, running.begin() + stopped);
    }
  }

  /// Where each stream has ended, its blocks, where they began, and which is bad.
  std::vector<std::int64_t> result() const {
    std::vector<std::int64_t> all;
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      const decode::Stream& stream = streams_[i];
      const decode::Coefficient* const from = first(i);
      all.push_back(static_cast<std::int64_t>(stream.position));
      all.push_back(stream.in_mcu);
      all.push_back(stream.bad == nullptr ? -1 : stream.bad - from);
      all.insert(all.end(), from, static_cast<const decode::Coefficient*>(stream.block));
      all.insert(all.end(), starts_[i].data(), static_cast<const std::uint32_t*>(stream.start));
    }
    return all;
  }

 private:
  decode::Coefficient* first(std::size_t i) const {
    return reinterpret_cast<decode::Coefficient*>(memory_[i]->first());
  }

  std::array<decode::Stream, decode::most_streams> streams_;
  std::vector<std::unique_ptr<GuardedMemory>> memory_;
  std::vector<std::vector<std::uint32_t>> starts_;
};

}  // namespace ringfeed::testing
