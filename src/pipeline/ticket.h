#pragma once

#include <cstdint>
#include <utility>

#include "pipeline/pipeline.h"

namespace ringfeed::detail {

/// What a sample holds from before its frame exists until its frame is destroyed: its place in the
/// order of all samples, and its bytes. Dies on the reader thread.
struct Pipeline::InFlight {
  InFlight(SequenceTracker& tracker, io::Units granted)
      : sequences(&tracker), sequence(tracker.begin()), units(std::move(granted)) {}
  InFlight(InFlight&& other) noexcept
      : sequences(std::exchange(other.sequences, nullptr)),
        sequence(other.sequence),
        units(std::move(other.units)) {}
  InFlight& operator=(InFlight&&) = delete;
  ~InFlight() {
    if (sequences != nullptr) sequences->finish(sequence);
  }

  SequenceTracker* sequences;
  std::uint64_t sequence;
  io::Units units;
};

}  // namespace ringfeed::detail
