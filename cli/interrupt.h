#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace ringfeed::cli {

inline constexpr int exit_interrupted = 130;

/// SIGINT and SIGTERM as a request instead of sudden death. Construct before any other thread
/// starts: threads inherit the blocked signals, so that only the watcher here sees them.
/// While no Guard is alive the process exits at once, and so it does at the second signal.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  /// Any thread.
  bool requested() const noexcept { return requested_.load(std::memory_order_relaxed); }

  /// Around work that ends early by itself: at the signal `stop` runs on the watcher thread. The
  /// destructor waits for a `stop` in progress. One at a time.
  class Guard {
   public:
    Guard(Interrupt& interrupt, std::function<void()> stop);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Interrupt& interrupt_;
  };

 private:
  void watch();
  void handle();

  int signals_;  // signalfd
  int end_;      // eventfd
  std::atomic<bool> requested_{false};
  Mutex mutex_;
  std::function<void()> stop_ GUARDED_BY(mutex_);
  std::thread watcher_;
};

}  // namespace ringfeed::cli
