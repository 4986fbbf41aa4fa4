#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/thread_start.h"
#include "io/pool_worker.h"

namespace ringfeed::io {

/// How many threads the pool has, and which of them works. A few are started as work comes. More
/// follow only where a slow answer shows that they would help: an operation that took long while
/// others waited, with the other threads asleep and not waiting for a core. So neither a busy
/// machine nor a storage that never answers makes many. Those above the few end when they are idle.
class PoolThreads {
 public:
  using Clock = PoolWorker::Clock;

  /// What takes or waits less does not need more threads: two a core then make 2,000 operations a
  /// second for each core, which decodes fewer files.
  static constexpr std::chrono::milliseconds slow{1};

  /// Each thread runs `work`. Neither number is 0.
  PoolThreads(std::size_t few, std::size_t most, std::function<void(PoolWorker&)> work);
  PoolThreads(const PoolThreads&) = delete;
  PoolThreads& operator=(const PoolThreads&) = delete;

  /// The pool's: it guards the queue of operations too, whose length is `waiting` below.
  Mutex mutex;

  // The thread that starts operations.

  /// Throws std::system_error if there cannot even be one.
  void start_first() REQUIRES(mutex) { add(); }
  /// An operation has been put into the queue: an idle thread comes, or one of the few is started.
  void call(std::size_t waiting) REQUIRES(mutex);
  /// As many idle ones as there are, `count` at most.
  void call_idle(std::size_t count) REQUIRES(mutex);
  /// Operations wait that no thread is on its way to, and there may be more threads.
  bool lacks(std::size_t waiting) const REQUIRES(mutex) {
    return waiting > coming_ && count_ < most_;
  }
  /// Operations that are stuck hold up no others: the few are counted without them. To be called
  /// at next_look() while the pool lacks threads.
  void replace_stuck(std::size_t waiting) REQUIRES(mutex);
  Clock::time_point next_look() const REQUIRES(mutex) { return next_look_; }
  /// What the system has refused since the last call: "thread 9 refused (EAGAIN), using 8".
  std::string take_refusals() REQUIRES(mutex) { return std::exchange(refusals_, {}); }
  /// Joins all. Without the lock.
  void stop();

  // The threads.

  void has_come(PoolWorker& self) REQUIRES(mutex);
  bool stopping() const REQUIRES(mutex) { return stopping_; }
  /// An operation that began then has ended.
  void answered(Clock::time_point began) REQUIRES(mutex) { answered_ = std::max(answered_, began); }
  /// After a slow answer, while work has waited as long: the threads whose sleep tells whether more
  /// would help. None: it need not be asked.
  PoolWorkers peers(const PoolWorker& self, std::size_t waiting, Clock::time_point now) const
      REQUIRES(mutex);
  /// They do.
  void grow(std::size_t waiting) REQUIRES(mutex);
  /// Waits for work. False: the thread is not needed any more, nor `self` its own. It joins what is
  /// `ended` and returns.
  bool is_called(PoolWorker& self, MutexLock& lock, SmallThread& ended) REQUIRES(mutex);

 private:
  void call_idle_one() REQUIRES(mutex);
  void add() REQUIRES(mutex);
  void add(std::size_t count, std::size_t waiting) REQUIRES(mutex);
  bool is_late(const PoolWorker& worker, Clock::time_point now) const REQUIRES(mutex);

  const std::function<void(PoolWorker&)> work_;
  const std::size_t few_;
  std::vector<PoolWorker> workers_;  // places for as many as there may be
  std::size_t most_ GUARDED_BY(mutex);
  std::size_t count_ GUARDED_BY(mutex) = 0;
  std::size_t coming_ GUARDED_BY(mutex) = 0;         // started or called, not at the queue yet
  std::vector<PoolWorker*> idle_ GUARDED_BY(mutex);  // the one that had work last at the back
  SmallThread ended_ GUARDED_BY(mutex);              // the last, not joined
  std::string refusals_ GUARDED_BY(mutex);
  Clock::time_point answered_ GUARDED_BY(mutex){};  // the latest begin of what has ended
  Clock::time_point next_look_ GUARDED_BY(mutex){};
  bool stopping_ GUARDED_BY(mutex) = false;
};

}  // namespace ringfeed::io
