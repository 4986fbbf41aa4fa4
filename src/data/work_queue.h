#pragma once

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace ringfeed::data {

/// Work items done by several threads, where doing one may add more: a directory its
/// sub-directories. For waits on storage, not for CPU: the caller only waits.
template <class T>
class WorkQueue {
 public:
  explicit WorkQueue(std::vector<T> items)
      : items_(std::make_move_iterator(items.begin()), std::make_move_iterator(items.end())) {}

  /// Any thread, inside `work`.
  void push(T item) {
    {
      const std::lock_guard lock(mutex_);
      if (failure_) return;
      items_.push_back(std::move(item));
    }
    changed_.notify_one();
  }

  /// Returns once every item is done, or rethrows the first exception, what is queued then being
  /// dropped. Fewer threads do where the system grants no more; std::system_error where it grants
  /// none. Calls `while_waiting`, which may throw like `work`, every 100 ms on this thread.
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
    // Threads inherit the mask: a signal handler of the program's must not run on ours.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    std::exception_ptr refused;
    try {
      while (pool.size() < static_cast<std::size_t>(threads)) {
        pool.emplace_back([this, &work] { serve(work); });
      }
    } catch (const std::system_error&) {
      refused = std::current_exception();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (pool.empty() && refused) std::rethrow_exception(refused);
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

  std::mutex mutex_;
  std::condition_variable changed_, done_;  // the threads wait for one, run() for the other
  std::deque<T> items_;                     // guarded by mutex_
  int busy_ = 0;                // guarded: items being worked on, which may yet add more
  std::exception_ptr failure_;  // guarded
};

}  // namespace ringfeed::data
