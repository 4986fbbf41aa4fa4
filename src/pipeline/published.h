#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/mutex.h"
#include "pipeline/recorder.h"

namespace ringfeed::pipeline {

/// What the consumer, the reader thread and the samples on their way tell the rest, for statistics.
/// Any thread; the gauges are relaxed.
struct Published {
  StageRecorder read, decoded, delivered;
  RunClock run_clock;
  std::atomic<std::uint64_t> files_in_flight{0};
  std::atomic<std::uint64_t> encoded_ready{0};
  std::atomic<std::uint64_t> read_ahead_peak{0};
  std::atomic<std::uint64_t> size_guess{0};
  std::atomic<std::uint64_t> retries{0};
  std::atomic<std::uint64_t> skipped{0}, replaced{0};  // samples

  void set_engine_note(const std::string& note) {
    const MutexLock lock(mutex_);
    engine_note_ = note;
  }
  std::string engine_note() const {
    const MutexLock lock(mutex_);
    return engine_note_;
  }

 private:
  mutable Mutex mutex_;
  std::string engine_note_ GUARDED_BY(mutex_);
};

}  // namespace ringfeed::pipeline
