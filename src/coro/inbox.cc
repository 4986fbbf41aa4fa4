#include "coro/inbox.h"

#include <utility>

namespace ringfeed::coro {

template <class F>
void Inbox::deliver(F&& put) noexcept {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  put();
  if (sleeping_ && (notified_ || finished_.size() >= wake_after_)) {
    sleeping_ = false;
    wake_();
  }
}

void Inbox::retire(std::coroutine_handle<> finished) noexcept {
  deliver([&] { finished_.push_back(finished); });
}

void Inbox::post(std::function<void()> call) {
  deliver([&] {
    calls_.push_back(std::move(call));
    notified_ = true;
  });
}

void Inbox::notify() noexcept {
  deliver([&] { notified_ = true; });
}

void Inbox::take(std::vector<std::coroutine_handle<>>& finished,
                 std::vector<std::function<void()>>& calls) {
  finished.clear();
  calls.clear();
  std::lock_guard lock(mutex_);
  finished.swap(finished_);
  calls.swap(calls_);
  notified_ = false;
  sleeping_ = false;
}

bool Inbox::prepare_to_sleep(std::size_t wake_after) noexcept {
  std::lock_guard lock(mutex_);
  if (notified_ || finished_.size() >= wake_after) return false;
  wake_after_ = wake_after;
  sleeping_ = true;
  return true;
}

void Inbox::close() noexcept {
  std::vector<std::function<void()>> never_run;  // dies after the lock: it may own anything
  std::lock_guard lock(mutex_);
  closed_ = true;
  never_run.swap(calls_);
}

}  // namespace ringfeed::coro
