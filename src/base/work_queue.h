#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/thread_start.h"

namespace ringfeed {

/// Work items done by several threads, where doing one may add more: a directory its
/// sub-directories. For waits on storage, not for CPU: the caller only waits, where it gets a
/// thread.
template <class T>
class WorkQueue {
 public:
  /// `name` is the threads'.
  WorkQueue(std::string name, std::vector<T> items)
      : name_(std::move(name)),
        items_(std::make_move_iterator(items.begin()), std::make_move_iterator(items.end())) {}

  /// Any thread, inside `work`.
  void push(T item) {
    {
      const MutexLock lock(mutex_);
      if (failure_) return;
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
  }

  /// The items are begun in order, added ones last. Returns once every item is done, or rethrows
  /// the first exception, what is queued then being dropped. Fewer threads do where the system
  /// grants no more; where it grants none, this thread does the work. Calls `while_waiting`, which
  /// may throw like `work`, every 100 ms on this thread, or after each item that it does itself.
  void run(int threads, const std::function<void(T)>& work,
           const std::function<void()>& while_waiting) {
    std::vector<std::thread> pool;
    start(pool, threads, work);
    if (pool.empty()) {
      serve([&](T item) {
        work(std::move(item));
        if (while_waiting) while_waiting();
      });
    } else if (while_waiting) {
      wait(while_waiting);
    }
    for (std::thread& thread : pool) thread.join();
    const MutexLock lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void start(std::vector<std::thread>& pool, int threads, const std::function<void(T)>& work) {
    pool.reserve(static_cast<std::size_t>(threads));
    try {
      while (pool.size() < static_cast<std::size_t>(threads)) {
        pool.push_back(start_thread(name_, [this, &work] { serve(work); }));
      }
    } catch (const std::system_error&) {
    }
  }

  void wait(const std::function<void()>& while_waiting) {
    MutexLock lock(mutex_);
    while (!items_.empty() || busy_ > 0) {
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
      const bool late = done_.wait_until(lock, until) == std::cv_status::timeout;
      if (!late || (items_.empty() && busy_ == 0)) continue;
      lock.unlock();
      std::exception_ptr failure;
      try {
        while_waiting();
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (!failure) continue;
      if (!failure_) failure_ = failure;
      items_.clear();
      return;
    }
  }

  void serve(const std::function<void(T)>& work) {
    MutexLock lock(mutex_);
    for (;;) {
      while (items_.empty() && busy_ > 0) changed_.wait(lock);
      if (items_.empty()) break;
      T item = std::move(items_.front());
      items_.pop_front();
      ++busy_;
      lock.unlock();
      std::exception_ptr failure;
      try {
        work(std::move(item));
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      --busy_;
      if (failure && !failure_) failure_ = failure;
      if (failure_) items_.clear();
    }
    changed_.notify_all();
    done_.notify_one();
  }

  const std::string name_;
  Mutex mutex_;
  ConditionVariable changed_, done_;  // the threads wait for one, run() for the other
  std::deque<T> items_ GUARDED_BY(mutex_);
  int busy_ GUARDED_BY(mutex_) = 0;  // items being worked on, which may yet add more
  std::exception_ptr failure_ GUARDED_BY(mutex_);
};

}  // namespace ringfeed
