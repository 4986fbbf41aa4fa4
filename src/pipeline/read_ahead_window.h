#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>

namespace ringfeed::pipeline {

/// How many samples may be under way at once. It begins with what hides the latency of a page cache
/// or a local disk, so that those cost little memory and nothing is touched needlessly before the
/// first batch. It is opened, for good, once the decoders wait for reads: a slow storage loses
/// `patience` by that, once. Waiting is forgiven at a hundredth of the time that passes, or a long
/// run's shortest waits would add up. Reader thread only.
class ReadAheadWindow {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::milliseconds patience{10};

  /// `files` may be in flight, and `samples` under way, once it is open.
  ReadAheadWindow(std::size_t files, std::size_t samples, int workers) noexcept
      : workers_(workers),
        most_(samples),
        size_(std::min(files, narrow_files_per_worker * static_cast<std::size_t>(workers))) {}

  std::size_t size() const noexcept { return size_; }
  bool open() const noexcept { return size_ == most_; }

  /// `waited`: how long the decoders have waited for reads since the last call, all of them
  /// together.
  void note(Clock::time_point now, Clock::duration waited) noexcept {
    if (open()) return;
    debt_ = std::max(Clock::duration{0}, debt_ - (now - noted_) / 100) + waited / workers_;
    noted_ = now;
    if (debt_ > patience) size_ = most_;
  }

 private:
  static constexpr std::size_t narrow_files_per_worker = 64;

  const int workers_;
  const std::size_t most_;
  std::size_t size_;
  Clock::duration debt_{0};
  Clock::time_point noted_{};
};

}  // namespace ringfeed::pipeline
