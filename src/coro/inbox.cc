#include "coro/inbox.h"

#include <utility>

namespace ringfeed::coro {

void Inbox::wake_if_due() noexcept {
  if (sleeping_ && (notified_ || finished_.size() >= wake_after_)) {
    sleeping_ = false;
    wake_();
  }
}

void Inbox::retire(std::coroutine_handle<> finished) noexcept {
  const MutexLock lock(mutex_);
  if (closed_) return;
  finished_.push_back(finished);
  wake_if_due();
}

void Inbox::post(std::function<void()> call) {
  const MutexLock lock(mutex_);
  if (closed_) return;
  calls_.push_back(std::move(call));
  notified_ = true;
  wake_if_due();
}

void Inbox::notify() noexcept {
  const MutexLock lock(mutex_);
  if (closed_) return;
  notified_ = true;
  wake_if_due();
}

void Inbox::take(std::vector<std::coroutine_handle<>>& finished,
                 std::vector<std::function<void()>>& calls) {
  finished.clear();
  calls.clear();
  const MutexLock lock(mutex_);
  finished.swap(finished_);
  calls.swap(calls_);
  notified_ = false;
  sleeping_ = false;
}

bool Inbox::prepare_to_sleep(std::size_t wake_after) noexcept {
  const MutexLock lock(mutex_);
  if (notified_ || finished_.size() >= wake_after) return false;
  wake_after_ = wake_after;
  sleeping_ = true;
  return true;
}

void Inbox::close() noexcept {
  std::vector<std::function<void()>> never_run;  // dies after the lock: it may own anything
  const MutexLock lock(mutex_);
  closed_ = true;
  never_run.swap(calls_);
}

}  // namespace ringfeed::coro
