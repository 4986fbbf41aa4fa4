#pragma once

#include <pthread.h>
#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "ringfeed/error.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RINGFEED_LARGE_FRAMES
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RINGFEED_LARGE_FRAMES
#endif

namespace ringfeed {

/// Starts a named thread with every signal blocked: signals are the application's business.
/// Throws std::system_error (EAGAIN) where no more threads may be had.
std::thread start_thread(const std::string& name, std::function<void()> body);

/// A thread for system calls and little else, of which there may be hundreds: its stack is a
/// thirtieth of the usual one. Otherwise as start_thread()'s. Whoever owns it joins it.
class SmallThread {
 public:
  /// Libraries' thread-local variables lie in it too.
#ifdef RINGFEED_LARGE_FRAMES
  static constexpr std::size_t stack_bytes = 8 << 20;
#else
  static constexpr std::size_t stack_bytes = 256 << 10;
#endif

  SmallThread() noexcept = default;
  SmallThread(const std::string& name, std::function<void()> body);
  SmallThread(SmallThread&& other) noexcept
      : thread_(other.thread_), joinable_(std::exchange(other.joinable_, false)) {}
  SmallThread& operator=(SmallThread&& other) noexcept {  // to one that is not joinable
    thread_ = other.thread_;
    joinable_ = std::exchange(other.joinable_, false);
    return *this;
  }

  bool joinable() const noexcept { return joinable_; }
  void join() noexcept;

 private:
  pthread_t thread_{};
  bool joinable_ = false;
};

/// Whether a thread of this process sleeps. One that is ready to run does not, however long it
/// waits for a core. True where the system does not tell.
bool asleep(pid_t thread) noexcept;

/// What an error of starting threads, or one of a ring, says to a user; `lower`: the option that
/// takes fewer threads.
Error cannot_start(const std::system_error& error, Option lower = Option::num_workers);

}  // namespace ringfeed
