#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

// Clang checks at compile time that what is GUARDED_BY a mutex is touched under its lock only, and
// that functions which REQUIRE a lock are called under it (-Wthread-safety). It sees neither into
// constructors and destructors nor, from a lambda, the locks around it. GCC has no such check.
#ifdef __clang__
#define RINGFEED_THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define RINGFEED_THREAD_SAFETY(attribute)
#endif
#define GUARDED_BY(mutex) RINGFEED_THREAD_SAFETY(guarded_by(mutex))
#define REQUIRES(mutex) RINGFEED_THREAD_SAFETY(requires_capability(mutex))

namespace ringfeed {

/// std::mutex that the check knows; libstdc++ does not annotate its own.
class RINGFEED_THREAD_SAFETY(capability("mutex")) Mutex {
 private:
  friend class MutexLock;
  std::mutex mutex_;
};

/// Holds a Mutex from here to the end of the scope. It is const unless it is unlocked on the way or
/// waits for a ConditionVariable.
class RINGFEED_THREAD_SAFETY(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) RINGFEED_THREAD_SAFETY(acquire_capability(mutex))
      : lock_(mutex.mutex_) {}
  ~MutexLock() RINGFEED_THREAD_SAFETY(release_capability()) = default;
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  void lock() RINGFEED_THREAD_SAFETY(acquire_capability()) { lock_.lock(); }
  void unlock() RINGFEED_THREAD_SAFETY(release_capability()) { lock_.unlock(); }

 private:
  friend class ConditionVariable;
  std::unique_lock<std::mutex> lock_;
};

/// std::condition_variable for a MutexLock. It takes no predicate, which as a lambda would be
/// checked without the lock: callers wait in a loop.
class ConditionVariable {
 public:
  void wait(MutexLock& lock) { condition_.wait(lock.lock_); }
  std::cv_status wait_until(MutexLock& lock, std::chrono::steady_clock::time_point deadline) {
    return condition_.wait_until(lock.lock_, deadline);
  }
  void notify_one() noexcept { condition_.notify_one(); }
  void notify_all() noexcept { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace ringfeed
