#include "io/pool_threads.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

namespace ringfeed::io {
namespace {

using std::chrono::milliseconds;

// Threads that one slow answer brings.
constexpr std::size_t growth = 16;
// An operation that takes longer than this, and than later ones, may never end.
constexpr milliseconds stuck_after{100};
// A thread above the few that has had no work for so long ends.
constexpr std::chrono::seconds patience{1};

bool is_there(const PoolWorker& worker) { return worker.thread.joinable(); }

}  // namespace

PoolThreads::PoolThreads(std::size_t few, std::size_t most, std::function<void(PoolWorker&)> work)
    : work_(std::move(work)), few_(std::min(few, most)), workers_(most), most_(most) {
  idle_.reserve(most);
}

void PoolThreads::stop() {
  SmallThread ended;
  {
    const MutexLock lock(mutex);
    stopping_ = true;  // from here on no thread is added, nor taken from workers_
    ended = std::move(ended_);
    for (PoolWorker* worker : idle_) worker->call.notify_one();
  }
  for (PoolWorker& worker : workers_) {
    if (worker.thread.joinable()) worker.thread.join();
  }
  if (ended.joinable()) ended.join();
}

void PoolThreads::call(std::size_t waiting) {
  if (waiting <= coming_) return;
  if (!idle_.empty()) {
    call_idle_one();
  } else if (count_ < few_) {
    add(1, waiting);
  }
}

void PoolThreads::call_idle(std::size_t count) {
  for (; count > 0 && !idle_.empty(); --count) call_idle_one();
}

/// The one that has had work last, so that those which are not needed stay idle, and end.
void PoolThreads::call_idle_one() {
  idle_.back()->called = true;
  idle_.back()->call.notify_one();
  idle_.pop_back();
  ++coming_;
}

void PoolThreads::add() {
  const auto worker =
      std::ranges::find_if(workers_, [](const PoolWorker& place) { return !is_there(place); });
  worker->thread = SmallThread("rf-read-" + std::to_string(worker - workers_.begin()),
                               [this, &self = *worker] { work_(self); });
  ++count_;
  ++coming_;
}

/// At most `count`, and no more than have something to do.
void PoolThreads::add(std::size_t count, std::size_t waiting) {
  try {
    for (; count > 0 && lacks(waiting); --count) add();
  } catch (const std::bad_alloc&) {  // another slow answer will ask again
  } catch (const std::system_error& error) {
    most_ = count_;
    refusals_ += (refusals_.empty() ? "thread " : "; thread ") + std::to_string(count_ + 1) +
                 " refused (" + strerrorname_np(error.code().value()) + "), using " +
                 std::to_string(count_);
  }
}

/// The worker's operation takes long, and longer than later ones.
bool PoolThreads::is_late(const PoolWorker& worker, Clock::time_point now) const {
  const auto began = worker.began();
  return began != PoolWorker::no_operation && began < answered_ && now - began > stuck_after;
}

void PoolThreads::replace_stuck(std::size_t waiting) {
  const auto now = Clock::now();
  if (now < next_look_) return;
  next_look_ = now + stuck_after;
  std::size_t serving = 0;
  for (const PoolWorker& worker : workers_) serving += is_there(worker) && !is_late(worker, now);
  for (const PoolWorker& worker : workers_) {
    if (serving >= few_) return;
    if (is_there(worker) && is_late(worker, now) && !asleep(worker.id)) ++serving;
  }
  add(few_ - serving, waiting);
}

void PoolThreads::has_come(PoolWorker& self) {
  self.id = ::gettid();
  --coming_;
}

PoolWorkers PoolThreads::peers(const PoolWorker& self, std::size_t waiting,
                               Clock::time_point now) const {
  PoolWorkers some;
  if (!lacks(waiting)) return some;
  for (const PoolWorker& worker : workers_) {
    if (&worker != &self && !is_late(worker, now)) some.add(worker);
  }
  return some;
}

void PoolThreads::grow(std::size_t waiting) {
  if (!stopping_) add(growth, waiting);
}

bool PoolThreads::is_called(PoolWorker& self, MutexLock& lock, SmallThread& ended) {
  constexpr auto for_ever = Clock::time_point::max();
  auto until = count_ > few_ ? Clock::now() + patience : for_ever;
  self.called = false;
  idle_.push_back(&self);
  while (!self.called) {
    if (stopping_) return false;
    if (until == for_ever) {
      self.call.wait(lock);
    } else if (Clock::now() < until) {
      self.call.wait_until(lock, until);
    } else if (count_ > few_) {
      std::erase(idle_, &self);
      --count_;
      ended = std::exchange(ended_, std::move(self.thread));
      return false;
    } else {
      until = for_ever;
    }
  }
  --coming_;
  return true;
}

}  // namespace ringfeed::io
