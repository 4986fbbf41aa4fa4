#pragma once

#include <coroutine>
#include <cstddef>
#include <functional>
#include <vector>

#include "base/mutex.h"

namespace ringfeed::coro {

/// Work that other threads hand to the one that owns it. The owner sleeps elsewhere (in the
/// ring); `wake` reaches it there and is called only when it sleeps and has reason to get up.
///
/// One mutex orders everything: a poster either sees `sleeping_` and wakes, or its post is seen by
/// the owner's prepare_to_sleep(). At a few thousand posts a second the lock costs nothing.
class Inbox {
 public:
  /// `wake` is called on the posting thread under the lock, so that none is under way once close()
  /// has returned; it must not throw or block.
  explicit Inbox(std::function<void()> wake) : wake_(std::move(wake)) {}

  // Any thread:

  /// The owner destroys this finished frame when it next gets up; it is woken for it only after
  /// as many as it asked for in prepare_to_sleep().
  void retire(std::coroutine_handle<> finished) noexcept;
  /// The owner runs `call`. Wakes.
  void post(std::function<void()> call);
  /// Wakes: some state that the owner looks at has changed.
  void notify() noexcept;

  /// Awaitable: continues on the owner's thread.
  auto resume_here() noexcept {
    struct Hop {
      Inbox& inbox;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        inbox.post([handle] { handle.resume(); });
      }
      void await_resume() const noexcept {}
    };
    return Hop{*this};
  }

  // The owner:

  /// Everything posted since the last call. The vectors are swapped in: pass the same ones again.
  void take(std::vector<std::coroutine_handle<>>& finished,
            std::vector<std::function<void()>>& calls);
  /// True: go to sleep, a wake will come after `wake_after` (>= 1) retirements, counting those
  /// not yet taken, or at once on any other post. False: there is work already.
  bool prepare_to_sleep(std::size_t wake_after) noexcept;
  /// The owner is about to end: posts are taken no more and wake nobody; calls not taken are
  /// dropped.
  void close() noexcept;

 private:
  void wake_if_due() noexcept REQUIRES(mutex_);

  std::function<void()> wake_;
  Mutex mutex_;
  std::vector<std::coroutine_handle<>> finished_ GUARDED_BY(mutex_);
  std::vector<std::function<void()>> calls_ GUARDED_BY(mutex_);
  std::size_t wake_after_ GUARDED_BY(mutex_) = 1;
  bool notified_ GUARDED_BY(mutex_) = false;
  bool sleeping_ GUARDED_BY(mutex_) = false;
  bool closed_ GUARDED_BY(mutex_) = false;
};

}  // namespace ringfeed::coro
