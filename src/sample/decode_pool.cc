#include "sample/decode_pool.h"

#include <algorithm>
#include <string>
#include <system_error>

#include "base/thread_start.h"
#include "sample/sample_maker.h"

namespace ringfeed::sample {
namespace {

struct Later {
  bool operator()(const DecodePool::Job& a, const DecodePool::Job& b) const noexcept {
    return a.sequence > b.sequence;
  }
};

UsualNeed usual(int workers, const std::vector<TransformPlan>& plans,
                const DecodeLimits& limits) noexcept {
  const std::size_t each =
      std::min(SampleMaker::usual_need(plans), SampleMaker::most_need(plans, limits));
  return {each, static_cast<std::size_t>(workers) * each};
}

}  // namespace

DecodePool::DecodePool(int workers, const std::vector<TransformPlan>& plans,
                       const DecodeLimits& limits)
    : Decoders(reserve_bytes(workers, plans, limits), usual(workers, plans, limits)) {
  for (int i = 0; i < workers; ++i) {
    makers_.push_back(std::make_unique<SampleMaker>(plans, limits));
    queues_.push_back(std::make_unique<Queue>());
  }
  try {
    for (int i = 0; i < workers; ++i) {
      threads_.push_back(start_thread("rf-decode-" + std::to_string(i), [this, i] { run(i); }));
    }
  } catch (const std::system_error&) {
    // Fewer threads serve all queues by stealing; none at all is a fault of the set-up.
    if (threads_.empty()) throw;
  }
}

DecodePool::~DecodePool() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  available_.notify_all();
  for (auto& thread : threads_) thread.join();
}

std::size_t DecodePool::memory_bound(int workers, const std::vector<TransformPlan>& plans,
                                     const DecodeLimits& limits) noexcept {
  constexpr std::size_t thread = 1024;  // with its name, its handle and their rounding
  return static_cast<std::size_t>(workers) *
             (SampleMaker::own_bytes(plans) + sizeof(Queue) + thread) +
         reserve_bytes(workers, plans, limits);
}

std::size_t DecodePool::reserve_bytes(int workers, const std::vector<TransformPlan>& plans,
                                      const DecodeLimits& limits) noexcept {
  return std::max(SampleMaker::most_need(plans, limits), usual(workers, plans, limits).all);
}

std::uint64_t DecodePool::queued() const noexcept {
  const MutexLock lock(mutex_);
  return unclaimed_;
}

void DecodePool::push(Job job) {
  const std::size_t turn = next_queue_.fetch_add(1, std::memory_order_relaxed);
  Queue& queue = *queues_[turn % queues_.size()];
  {
    const MutexLock lock(queue.mutex);
    queue.heap.push_back(job);
    std::ranges::push_heap(queue.heap, Later{});
  }
  {
    const MutexLock lock(mutex_);
    ++unclaimed_;
  }
  available_.notify_one();
}

void DecodePool::run(int index) {
  while (wait_for_job()) {
    Job job = take(index);
    *job.maker = makers_[static_cast<std::size_t>(index)].get();
    job.handle.resume();
  }
}

void DecodePool::book_idle_time() const noexcept {
  const auto now = Clock::now();
  idle_time_[static_cast<std::size_t>(idle_reason_)] += (now - booked_until_) * idle_workers_;
  booked_until_ = now;
}

void DecodePool::set_idle_reason(Idle reason) noexcept {
  const MutexLock lock(mutex_);
  if (reason == idle_reason_) return;
  book_idle_time();
  idle_reason_ = reason;
}

DecodePool::Clock::duration DecodePool::idle_time(Idle reason) const noexcept {
  const MutexLock lock(mutex_);
  book_idle_time();
  return idle_time_[static_cast<std::size_t>(reason)];
}

bool DecodePool::wait_for_job() {
  MutexLock lock(mutex_);
  if (unclaimed_ == 0 && !stopping_) {
    book_idle_time();
    ++idle_workers_;
    while (unclaimed_ == 0 && !stopping_) available_.wait(lock);
    book_idle_time();
    --idle_workers_;
  }
  if (unclaimed_ == 0) return false;
  --unclaimed_;
  return true;
}

DecodePool::Job DecodePool::take(int index) {
  Job job{};
  for (;;) {
    if (try_take(*queues_[static_cast<std::size_t>(index)], job)) return job;
    for (std::size_t i = 1; i < queues_.size(); ++i) {
      const std::size_t victim = (static_cast<std::size_t>(index) + i) % queues_.size();
      if (try_take(*queues_[victim], job)) {
        steals_.fetch_add(1, std::memory_order_relaxed);
        return job;
      }
    }
  }
}

bool DecodePool::try_take(Queue& queue, Job& job) {
  const MutexLock lock(queue.mutex);
  if (queue.heap.empty()) return false;
  std::ranges::pop_heap(queue.heap, Later{});
  job = queue.heap.back();
  queue.heap.pop_back();
  return true;
}

}  // namespace ringfeed::sample
