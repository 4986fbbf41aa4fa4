#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringfeed::pipeline {

/// Numbers handed out in order and finished in any: which unfinished one is the oldest. One thread.
class SequenceTracker {
 public:
  std::uint64_t begin() {
    if (next_ - oldest_ == finished_.size()) widen();
    done(next_) = false;
    return next_++;
  }
  void finish(std::uint64_t sequence) noexcept {
    done(sequence) = true;
    while (oldest_ != next_ && done(oldest_)) ++oldest_;
  }
  std::uint64_t next() const noexcept { return next_; }
  /// next() where all are finished.
  std::uint64_t oldest() const noexcept { return oldest_; }

 private:
  std::vector<bool>::reference done(std::uint64_t sequence) noexcept {
    return finished_[static_cast<std::size_t>(sequence) & (finished_.size() - 1)];
  }
  void widen() {
    std::vector<bool> wider(finished_.size() * 2);
    for (std::uint64_t s = oldest_; s != next_; ++s) {
      wider[static_cast<std::size_t>(s) & (wider.size() - 1)] = done(s);
    }
    finished_.swap(wider);
  }

  std::vector<bool> finished_ = std::vector<bool>(1024);  // a power of two
  std::uint64_t next_ = 0;
  std::uint64_t oldest_ = 0;
};

}  // namespace ringfeed::pipeline
