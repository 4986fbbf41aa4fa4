#pragma once

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <utility>

#include "coro/inbox.h"
#include "coro/task.h"

namespace ringfeed::coro {

/// The tasks of one thread: none outlives it unseen. spawn() and collect() belong to the owner
/// thread; a task may finish on any thread, and its frame then comes home through the inbox.
class Scope {
 public:
  explicit Scope(Inbox& inbox) noexcept : inbox_(inbox) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  /// Runs `task` here up to its first suspension.
  void spawn(Task task) {
    Task::Handle handle = std::exchange(task.handle_, {});
    handle.promise().home = &inbox_;
    ++size_;
    handle.resume();
  }

  /// Destroys a finished task's frame, parameters included.
  void collect(std::coroutine_handle<> finished) noexcept {
    --size_;
    finished.destroy();
  }

  /// Tasks spawned and not yet collected.
  std::size_t size() const noexcept { return size_; }

  /// How many may finish before the owner needs to look: a good many at a time cost it few
  /// wake-ups, but never more than a quarter of those that can finish without it. `held` of the
  /// tasks cannot: they wait for the owner itself, for I/O or for the consumer.
  std::size_t wake_after(std::size_t held, std::size_t most) const noexcept {
    return std::clamp<std::size_t>((size_ - held) / 4, 1, most);
  }

 private:
  Inbox& inbox_;
  std::size_t size_ = 0;
};

}  // namespace ringfeed::coro
