#include "sample/reserve.h"

namespace ringfeed::sample {

/// False: it waits, and may be gone already.
bool Reserve::take_or_queue(Waiter& waiter) noexcept {
  const MutexLock lock(mutex_);
  const bool is_first = first_ == nullptr || waiter.job.sequence < first_->job.sequence;
  const bool passes =
      is_first || (waiter.bytes <= usual_.each && first_->bytes + usual_.all <= capacity_);
  if (passes && waiter.bytes <= free_) {
    free_ -= waiter.bytes;
    return true;
  }
  Waiter** at = &first_;
  while (*at != nullptr && (*at)->job.sequence < waiter.job.sequence) at = &(*at)->next;
  waiter.next = *at;
  *at = &waiter;
  waiter.since = std::chrono::steady_clock::now();
  waiting_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void Reserve::give_back(std::size_t bytes) {
  Waiter* granted = nullptr;
  {
    const MutexLock lock(mutex_);
    free_ += bytes;
    if (first_ == nullptr) return;
    const auto now = std::chrono::steady_clock::now();
    granted = first_;
    Waiter** end = &granted;
    while (*end != nullptr && (*end)->bytes <= free_) {
      free_ -= (*end)->bytes;
      ++waits_.count;
      waits_.time += now - (*end)->since;
      waiting_.fetch_sub(1, std::memory_order_relaxed);
      end = &(*end)->next;
    }
    first_ = std::exchange(*end, nullptr);
  }
  while (granted != nullptr) {
    const Job job = granted->job;
    granted = granted->next;  // a sample that goes on takes its waiter with it
    go_on_(job);
  }
}

Reserve::Waits Reserve::waits() const noexcept {
  const MutexLock lock(mutex_);
  return waits_;
}

}  // namespace ringfeed::sample
