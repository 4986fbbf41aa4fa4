#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "ringfeed/stats.h"

namespace ringfeed::pipeline {

/// Counts and a latency histogram of one stage. Any thread records, any thread reads a snapshot;
/// all relaxed: the counts order nothing.
class StageRecorder {
 public:
  using Duration = std::chrono::steady_clock::duration;

  void record(Duration latency, std::uint64_t bytes, bool failed) noexcept;
  StageStats snapshot() const noexcept;

 private:
  static constexpr std::size_t buckets = 8 * 42;  // of log_buckets.h, in nanoseconds

  std::atomic<std::uint64_t> count_{0}, failed_{0}, bytes_{0}, busy_ns_{0}, max_ns_{0};
  std::array<std::atomic<std::uint64_t>, buckets> histogram_{};
};

/// The time during which an epoch ran. Any thread.
class RunClock {
 public:
  void start() noexcept;
  void stop() noexcept;
  double seconds() const noexcept;

 private:
  std::atomic<std::int64_t> ran_ns_{0};
  std::atomic<std::int64_t> since_ns_{0};  // 0: stopped
};

}  // namespace ringfeed::pipeline
