#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
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
/// thread. A handle: copies are the same queue.
template <class T>
class WorkQueue {
 public:
  /// `name` is the threads'.
  WorkQueue(std::string name, std::vector<T> items)
      : state_(std::make_shared<State>(std::move(name), std::move(items))) {}

  /// Any thread, inside `work`.
  void push(T item) {
    {
      const MutexLock lock(state_->mutex);
      if (state_->failed) return;
      state_->items.push_back(std::move(item));
    }
    state_->changed.notify_one();
  }

  /// The items are begun in order, added ones last. Returns once every item is done, or rethrows
  /// the first exception, what is queued then being dropped. Fewer threads do where the system
  /// grants no more; where it grants none, this thread does the work. Calls `while_waiting`, which
  /// may throw like `work`, every 100 ms on this thread, or after each item that it does itself.
  /// What it throws does not wait for work that hangs in the file system: after `patience` such
  /// threads are left to themselves, so that `work` must own all it touches. It is destroyed with
  /// the last of them.
  void run(int threads, std::function<void(T)> work, const std::function<void()>& while_waiting) {
    State& state = *state_;
    {
      const MutexLock lock(state.mutex);
      state.work = std::move(work);
      ++state.serving;  // this thread
    }
    std::vector<std::thread> pool;
    start(pool, threads);
    bool abandoned = false;
    if (pool.empty()) {
      state.serve(while_waiting);
    } else if (while_waiting) {
      abandoned = !state.wait(while_waiting);
    }
    for (std::thread& thread : pool) abandoned ? thread.detach() : thread.join();
    state.leave();
    // Taken out: threads that are left behind may outlive whoever catches it.
    std::exception_ptr failure;
    {
      const MutexLock lock(state.mutex);
      failure = std::exchange(state.failure, nullptr);
    }
    if (failure) std::rethrow_exception(failure);
  }

  static constexpr std::chrono::milliseconds patience{200};

 private:
  struct State {
    State(std::string thread_name, std::vector<T> first)
        : name(std::move(thread_name)),
          items(std::make_move_iterator(first.begin()), std::make_move_iterator(first.end())) {}

    /// False: work hangs, and nobody is to wait for it.
    bool wait(const std::function<void()>& while_waiting) {
      MutexLock lock(mutex);
      while (!items.empty() || busy > 0) {
        const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
        const bool late = done.wait_until(lock, until) == std::cv_status::timeout;
        if (!late || (items.empty() && busy == 0)) continue;
        lock.unlock();
        std::exception_ptr thrown;
        try {
          while_waiting();
        } catch (...) {
          thrown = std::current_exception();
        }
        lock.lock();
        if (!thrown) continue;
        fail(thrown);
        items.clear();
        changed.notify_all();
        const auto limit = std::chrono::steady_clock::now() + patience;
        while (busy > 0 && done.wait_until(lock, limit) != std::cv_status::timeout) {
        }
        return busy == 0;
      }
      return true;
    }

    void serve(const std::function<void()>& after_each) {
      MutexLock lock(mutex);
      for (;;) {
        while (items.empty() && busy > 0 && !failed) changed.wait(lock);
        if (items.empty()) break;
        T item = std::move(items.front());
        items.pop_front();
        ++busy;
        lock.unlock();
        std::exception_ptr thrown;
        try {
          work(std::move(item));
          if (after_each) after_each();
        } catch (...) {
          thrown = std::current_exception();
        }
        lock.lock();
        --busy;
        if (thrown) fail(std::exchange(thrown, nullptr));
        if (failed) {
          items.clear();
          changed.notify_all();
        }
      }
      changed.notify_all();
      done.notify_one();
    }

    void fail(std::exception_ptr thrown) REQUIRES(mutex) {
      if (!std::exchange(failed, true)) failure = std::move(thrown);
    }

    /// Of those that serve, or run(): the last drops the work, which may hold the queue.
    void leave() {
      std::function<void(T)> last;
      const MutexLock lock(mutex);
      if (--serving == 0) last.swap(work);
    }

    const std::string name;
    std::function<void(T)> work;  // set before the threads start, dropped after the last
    Mutex mutex;
    ConditionVariable changed, done;  // the threads wait for one, run() for the other
    std::deque<T> items GUARDED_BY(mutex);
    int busy GUARDED_BY(mutex) = 0;  // items being worked on, which may yet add more
    int serving GUARDED_BY(mutex) = 0;
    bool failed GUARDED_BY(mutex) = false;
    std::exception_ptr failure GUARDED_BY(mutex);  // the first, until run() throws it
  };

  void start(std::vector<std::thread>& pool, int threads) {
    pool.reserve(static_cast<std::size_t>(threads));
    const auto count = [this](int change) {
      const MutexLock lock(state_->mutex);
      state_->serving += change;
    };
    while (pool.size() < static_cast<std::size_t>(threads)) {
      count(1);
      try {
        pool.push_back(start_thread(state_->name, [state = state_] {
          state->serve({});
          state->leave();
        }));
      } catch (const std::exception&) {  // no thread, or no memory for one: fewer have to do
        count(-1);
        return;
      }
    }
  }

  std::shared_ptr<State> state_;
};

}  // namespace ringfeed
