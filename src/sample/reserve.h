#pragma once

#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "base/mutex.h"
#include "sample/maker.h"

namespace ringfeed::sample {

/// A coroutine that goes on on a decode thread.
struct Job {
  std::uint64_t sequence;
  std::coroutine_handle<> handle;
  Maker** maker;  ///< where it learns whose thread it is on
};

/// Samples that need at most `each` pass those that wait, where the first of these leaves `all`:
/// what passes then never keeps it from its turn.
struct UsualNeed {
  std::size_t each = 0;
  std::size_t all = 0;  ///< what the decode threads hold at once of such samples
};

/// Memory that all decode threads of a loader share, for what their images take. A sample asks
/// once, for all that it needs, before any of it is allocated, and gives its thread back while it
/// waits. The lowest sequence comes first. Only usual samples pass those that wait, and only when
/// they ask: one that has queued waits for its turn, and later ones may pass it. Who has got
/// memory waits for nothing any more: so what was granted comes back, the oldest gets its turn, and
/// a sample that was given up is woken within the time that others take to decode. Any thread.
class Reserve {
 public:
  /// `go_on` takes a sample that has waited to a decode thread. Called under no lock.
  Reserve(std::size_t bytes, std::function<void(const Job&)> go_on, UsualNeed usual = {})
      : capacity_(bytes), usual_(usual), go_on_(std::move(go_on)), free_(bytes) {}
  Reserve(const Reserve&) = delete;
  Reserve& operator=(const Reserve&) = delete;

  /// Memory that is given back when this dies.
  class Grant {
   public:
    Grant() = default;
    Grant(Grant&& other) noexcept { *this = std::move(other); }
    Grant& operator=(Grant&& other) noexcept {
      std::swap(reserve_, other.reserve_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Grant() {
      if (reserve_ != nullptr) reserve_->give_back(bytes_);
    }

   private:
    friend class Reserve;
    Grant(Reserve* reserve, std::size_t bytes) noexcept : reserve_(reserve), bytes_(bytes) {}
    Reserve* reserve_ = nullptr;
    std::size_t bytes_ = 0;
  };

  /// Awaitable, on a decode thread: yields a Grant of `bytes`, or of all there are. `maker` is then
  /// that of the thread on which the sample goes on.
  auto take(std::uint64_t sequence, std::size_t bytes, Maker*& maker) noexcept {
    struct Wait : Waiter {
      Reserve& reserve;
      bool await_ready() const noexcept { return false; }
      bool await_suspend(std::coroutine_handle<> handle) {
        this->job.handle = handle;
        return !reserve.take_or_queue(*this);  // queued, this may be gone already
      }
      Grant await_resume() const noexcept { return {&reserve, this->bytes}; }
    };
    return Wait{{{sequence, {}, &maker}, bytes < capacity_ ? bytes : capacity_}, *this};
  }

  std::size_t capacity() const noexcept { return capacity_; }
  /// Samples that wait now.
  std::size_t waiting() const noexcept { return waiting_.load(std::memory_order_relaxed); }

  /// Of all samples so far: how many had to wait, and how long together.
  struct Waits {
    std::uint64_t count = 0;
    std::chrono::steady_clock::duration time{0};
  };
  Waits waits() const noexcept;

 private:
  struct Waiter {  // in its coroutine's frame
    Job job;
    std::size_t bytes;
    std::chrono::steady_clock::time_point since{};
    Waiter* next = nullptr;
  };

  bool take_or_queue(Waiter& waiter) noexcept;
  void give_back(std::size_t bytes);

  const std::size_t capacity_;
  const UsualNeed usual_;
  const std::function<void(const Job&)> go_on_;
  std::atomic<std::size_t> waiting_{0};
  mutable Mutex mutex_;
  std::size_t free_ GUARDED_BY(mutex_);
  Waiter* first_ GUARDED_BY(mutex_) = nullptr;  // by sequence
  Waits waits_ GUARDED_BY(mutex_);
};

}  // namespace ringfeed::sample
