#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_start.h"

namespace ringfeed {

/// Work items done by several threads, where doing one may add more: a directory its
/// sub-directories. For waits on storage, not for CPU: the caller only waits.
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
      const std::lock_guard lock(mutex_);
      if (failure_) return;
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
  }

  /// The items are begun in order, added ones last. Returns once every item is done, or rethrows
  /// the first exception, what is queued then being dropped. Fewer threads do where the system
  /// grants no more; std::system_error where it grants none. Calls `while_waiting`, which may throw
  /// like `work`, every 100 ms on this thread.
  void run(int threads, const std::function<void(T)>& work,
           const std::function<void()>& while_waiting) {
    std::vector<std::thread> pool;
    start(pool, threads, work);
    if (while_waiting) wait(while_waiting);
    for (std::thread& thread : pool) thread.join();
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
      if (pool.empty()) throw;
    }
  }

  void wait(const std::function<void()>& while_waiting) {
    std::unique_lock lock(mutex_);
    while (!done_.wait_for(lock, std::chrono::milliseconds(100),
                           [this] { return items_.empty() && busy_ == 0; })) {
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
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !items_.empty() || busy_ == 0; });
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
  std::mutex mutex_;
  std::condition_variable changed_, done_;  // the threads wait for one, run() for the other
  std::deque<T> items_;                     // guarded by mutex_
  int busy_ = 0;                // guarded: items being worked on, which may yet add more
  std::exception_ptr failure_;  // guarded
};

}  // namespace ringfeed
