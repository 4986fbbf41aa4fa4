#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "ringfeed/order.h"

namespace ringfeed::pipeline {

/// Which batches of an order have been delivered: a prefix, and some beyond. One thread.
class ProgressTracker {
 public:
  /// At most `window` batches are delivered beyond the oldest that is not.
  ProgressTracker(const Progress& start, std::size_t window)
      : positions_(start.positions), beyond_(start.beyond) {
    beyond_.reserve(beyond_.size() + window + 1);  // delivered() must not allocate
  }

  /// The order's next batch ends at position `end`: its number, from 0, or nothing where it had
  /// been delivered before the start.
  std::optional<std::uint64_t> pulled(std::uint64_t end) {
    ends_.push_back(end);
    const std::uint64_t number = first_ + ends_.size() - 1;
    if (!std::ranges::binary_search(beyond_, number)) return number;
    advance();
    return std::nullopt;
  }
  void delivered(std::uint64_t number) noexcept {
    beyond_.insert(std::ranges::lower_bound(beyond_, number), number);
    advance();
  }
  Progress progress() const {
    Progress progress{positions_, beyond_};
    for (std::uint64_t& number : progress.beyond) number -= first_;
    return progress;
  }

 private:
  void advance() noexcept {
    while (!ends_.empty() && !beyond_.empty() && beyond_.front() == first_) {
      positions_ = ends_.front();
      ends_.pop_front();
      beyond_.erase(beyond_.begin());
      ++first_;
    }
  }

  std::uint64_t positions_;
  std::uint64_t first_ = 0;            // the oldest undelivered batch
  std::deque<std::uint64_t> ends_;     // of the batches pulled, from first_ on
  std::vector<std::uint64_t> beyond_;  // delivered after first_; ascending
};

}  // namespace ringfeed::pipeline
