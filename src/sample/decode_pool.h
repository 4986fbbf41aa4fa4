#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "ringfeed/transform.h"
#include "sample/decoders.h"

namespace ringfeed::sample {

/// Threads that run coroutines past the hop from the reader thread. Each has a queue ordered by
/// sequence; jobs are dealt round robin; an idle thread steals. Owner and thief alike take the
/// lowest sequence, so that the oldest batch is finished first. At some 2,000 jobs a second and
/// worker a mutex per queue costs nothing measurable.
class DecodePool final : public Decoders {
 public:
  DecodePool(int workers, const std::vector<TransformPlan>& plans, const DecodeLimits& limits);
  /// Joins. Nothing may be queued any more.
  ~DecodePool() override;

  /// The most bytes that it holds with its makers and the reserve. What waits in the queues is not
  /// counted: it grows with the samples under way.
  static std::size_t memory_bound(int workers, const std::vector<TransformPlan>& plans,
                                  const DecodeLimits& limits) noexcept;
  /// The reserve's: any image, and all workers' usual ones.
  static std::size_t reserve_bytes(int workers, const std::vector<TransformPlan>& plans,
                                   const DecodeLimits& limits) noexcept;

  void set_idle_reason(Idle reason) noexcept override;
  std::chrono::steady_clock::duration idle_time(Idle reason) const noexcept override;
  int workers() const noexcept override { return static_cast<int>(threads_.size()); }
  std::uint64_t queued() const noexcept override;
  std::uint64_t steals() const noexcept { return steals_.load(std::memory_order_relaxed); }

 private:
  struct Queue {
    Mutex mutex;
    std::vector<Job> heap GUARDED_BY(mutex);  // lowest sequence at the front
  };

  using Clock = std::chrono::steady_clock;
  void push(Job job) override;
  void book_idle_time() const noexcept REQUIRES(mutex_);
  void run(int index);
  bool wait_for_job();
  Job take(int index);
  bool try_take(Queue& queue, Job& job);

  std::vector<std::unique_ptr<Maker>> makers_;
  std::vector<std::unique_ptr<Queue>> queues_;
  std::atomic<std::size_t> next_queue_{0};

  // A worker first claims a job here, then finds one: there are always as many as were claimed.
  mutable Mutex mutex_;
  ConditionVariable available_;
  std::size_t unclaimed_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  // Idle worker-seconds, integrated at every change of the number idle or the reason.
  Idle idle_reason_ GUARDED_BY(mutex_) = Idle::finished;
  int idle_workers_ GUARDED_BY(mutex_) = 0;
  mutable Clock::time_point booked_until_ GUARDED_BY(mutex_) = Clock::now();
  mutable std::array<Clock::duration, 4> idle_time_ GUARDED_BY(mutex_){};

  std::atomic<std::uint64_t> steals_{0};
  std::vector<std::thread> threads_;
};

}  // namespace ringfeed::sample
