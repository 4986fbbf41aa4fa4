#pragma once

#include <cstdint>
#include <utility>

#include "io/credits.h"
#include "pipeline/sequence_tracker.h"

namespace ringfeed::pipeline {

/// What a sample holds from before its frame exists until its frame is destroyed: its number in
/// the order of all samples, and its bytes. Dies on the reader thread.
struct Ticket {
  Ticket(SequenceTracker& tracker, io::Buffer granted)
      : sequences(&tracker), sequence(tracker.begin()), buffer(std::move(granted)) {}
  Ticket(Ticket&& other) noexcept
      : sequences(std::exchange(other.sequences, nullptr)),
        sequence(other.sequence),
        buffer(std::move(other.buffer)) {}
  Ticket& operator=(Ticket&&) = delete;
  ~Ticket() {
    if (sequences != nullptr) sequences->finish(sequence);
  }

  SequenceTracker* sequences;
  std::uint64_t sequence;
  io::Buffer buffer;
};

}  // namespace ringfeed::pipeline
