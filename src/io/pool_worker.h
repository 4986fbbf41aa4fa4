#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>

#include "base/mutex.h"
#include "base/thread_start.h"

namespace ringfeed::io {

/// A thread of the pool, or a place for one. All but what is atomic is guarded by the pool's mutex.
class PoolWorker {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point no_operation{};

  /// Around calls that block. Its own thread.
  Clock::time_point begin() noexcept {
    const auto now = Clock::now();
    began_.store(now, relaxed);
    return now;
  }
  Clock::duration end() noexcept { return Clock::now() - began_.exchange(no_operation, relaxed); }
  /// Any thread.
  Clock::time_point began() const noexcept { return began_.load(relaxed); }

  SmallThread thread;
  pid_t id = 0;  ///< the system's, once it has come
  ConditionVariable call;
  bool called = false;

 private:
  // Whoever reads the time counts how many threads sleep. Nothing that they share hangs on it.
  static constexpr auto relaxed = std::memory_order_relaxed;

  std::atomic<Clock::time_point> began_{no_operation};
};

/// Some workers with the operations that they are in.
class PoolWorkers {
 public:
  /// With the lock. Left out: one without an operation, and more than tell enough.
  void add(const PoolWorker& worker) noexcept {
    const auto began = worker.began();
    if (count_ < most && began != PoolWorker::no_operation) {
      some_[count_++] = {&worker, worker.id, began};
    }
  }
  explicit operator bool() const noexcept { return count_ > 0; }

  /// Whether half of them sleep in these operations. Without the lock: it asks the system, 10 us
  /// each. (A thread that waits for the lock sleeps too, but has ended its operation.)
  bool sleep() const noexcept {
    std::size_t asleep_in_it = 0;
    for (std::size_t i = 0; i < count_; ++i) {
      const One& one = some_[i];
      if (asleep(one.id) && one.worker->began() == one.began) ++asleep_in_it;
    }
    return 2 * asleep_in_it >= count_;
  }

 private:
  struct One {
    const PoolWorker* worker;
    pid_t id;
    PoolWorker::Clock::time_point began;
  };
  static constexpr std::size_t most = 8;

  std::array<One, most> some_{};
  std::size_t count_ = 0;
};

}  // namespace ringfeed::io
