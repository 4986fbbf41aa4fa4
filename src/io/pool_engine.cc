#include "io/pool_engine.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <utility>

#include "base/file_descriptor.h"
#include "base/launched_ranks.h"
#include "base/mutex.h"
#include "base/system_limits.h"
#include "io/pool_slot.h"
#include "io/pool_threads.h"
#include "io/root.h"

namespace ringfeed::io {
namespace {

/// Blocking reads on threads of our own, for where io_uring is missing or forbidden.
class PoolEngine final : public Engine {
 public:
  explicit PoolEngine(const PoolEngineOptions& options)
      : root_(options.root),
        slots_(std::min(std::max(options.slots, 1u), descriptors_for_slots())),
        threads_(options.few == 0 ? two_a_core() : options.few,
                 options.threads == 0 ? slots_.size()
                                      : std::min<std::size_t>(slots_.size(), options.threads),
                 [this](PoolWorker& self) { work(self); }) {
    released_.resize(slots_.size());
    unused_.reserve(slots_.size());
    if (slots_.size() < options.slots) {
      note_ = std::to_string(options.slots) + " slots refused (EMFILE), using " +
              std::to_string(slots_.size());
    }
    const MutexLock lock(threads_.mutex);
    threads_.start_first();
  }

  ~PoolEngine() override { threads_.stop(); }

  std::string_view name() const noexcept override { return "pool"; }
  std::uint32_t slots() const noexcept override {
    return static_cast<std::uint32_t>(slots_.size());
  }
  const std::string& note() const noexcept override { return note_; }

  void open_and_read(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
                     std::uint64_t offset) override {
    start(slot, path, buffer, offset);
  }

  void wait_and_read(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
                     std::uint64_t offset) override {
    start(slot, path, buffer, offset, true);
  }

  void read_more(std::uint32_t slot, std::span<std::byte> buffer, std::uint64_t offset) override {
    start(slot, nullptr, buffer, offset);
  }

  void cancel(std::uint32_t slot) override {
    const MutexLock lock(threads_.mutex);
    const auto found = std::ranges::find(queue_, slot, &Waiting::slot);
    if (found == queue_.end()) return;  // running: it tells its own end
    queue_.erase(found);
    done_.push_back({slot, slots_[slot].open ? Step::open : Step::read, -ECANCELED});
  }

  // Closing may wait for a server; the worker that opens the slot's next file does it, or one that
  // lacks a descriptor.
  void release(std::uint32_t slot) override {
    const MutexLock lock(threads_.mutex);
    released_[slot] = true;
  }

  void close_files() override {
    const MutexLock lock(threads_.mutex);
    for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
      if (released_[slot] && slots_[slot].file) unused_.push_back(std::move(slots_[slot].file));
    }
    threads_.call_idle(unused_.size());
  }

  void poll(Clock::time_point until, std::vector<Completion>& out) override {
    MutexLock lock(threads_.mutex);
    if (until != at_once) {
      bool late = false;
      while (done_.empty() && !woken_ && !late) {
        // The threads that work waits for may be stuck.
        const bool lacks = threads_.lacks(queue_.size());
        const auto wake = lacks ? std::min(until, threads_.next_look()) : until;
        if (wake == for_ever) {
          finished_.wait(lock);
        } else if (finished_.wait_until(lock, wake) == std::cv_status::timeout) {
          late = wake == until;
          look_for_stuck();
        }
      }
      woken_ = false;
    }
    look_for_stuck();
    if (std::string refusals = threads_.take_refusals(); !refusals.empty()) {
      note_ += (note_.empty() ? "" : "; ") + refusals;
    }
    out.insert(out.end(), done_.begin(), done_.end());
    done_.clear();
  }

  void wake() noexcept override {
    {
      const MutexLock lock(threads_.mutex);
      woken_ = true;
    }
    finished_.notify_one();
  }

 private:
  struct Waiting {
    std::uint32_t slot;
    Clock::time_point since;
  };

  static std::size_t two_a_core() {
    const int cores = system_limits::cores_for_rank(system_limits::cpus(), ranks_on_this_host());
    return static_cast<std::size_t>(std::max(4, 2 * cores));
  }

  static std::uint32_t descriptors_for_slots() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    // Two a slot for a moment, while the old file is closed after the new one has been read.
    return static_cast<std::uint32_t>(std::clamp<rlim_t>(limit.rlim_cur / 2, 1, 1u << 30));
  }

  void start(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
             std::uint64_t offset, bool wait = false) {
    const MutexLock lock(threads_.mutex);
    PoolSlot& s = slots_[slot];
    s.open = path != nullptr;
    if (s.open) root_.put_before(path, s.path);
    s.buffer = buffer;
    s.offset = offset;
    s.wait = wait;
    released_[slot] = false;
    queue_.push_back({slot, Clock::now()});
    threads_.call(queue_.size());
  }

  void look_for_stuck() REQUIRES(threads_.mutex) {
    if (threads_.lacks(queue_.size())) threads_.replace_stuck(queue_.size());
  }

  void work(PoolWorker& self) {
    SmallThread ended;
    MutexLock lock(threads_.mutex);
    threads_.has_come(self);
    while (!threads_.stopping()) {
      if (queue_.empty() && unused_.empty()) {
        if (threads_.is_called(self, lock, ended)) continue;
        break;
      }
      FileDescriptor old;
      if (!queue_.empty()) {
        const std::uint32_t slot = queue_.front().slot;
        queue_.pop_front();
        lock.unlock();
        const auto began = self.begin();
        const Completion completion = run(slot, old);
        const auto took = self.end();
        lock.lock();
        done_.push_back(completion);
        finished_.notify_one();
        threads_.answered(began);
        if (const PoolWorkers peers = peers_to_ask(self, took)) {
          lock.unlock();
          const bool sleep = peers.sleep();
          lock.lock();
          if (sleep) threads_.grow(queue_.size());
        }
      }
      // One with each operation, or they would wait for a queue that never runs empty.
      if (old.get() < 0 && !unused_.empty()) {
        old = std::move(unused_.back());
        unused_.pop_back();
      }
      if (old.get() >= 0) {
        lock.unlock();
        self.begin();
        old.reset();
        self.end();
        lock.lock();
      }
    }
    lock.unlock();
    if (ended.joinable()) ended.join();
  }

  /// After an operation that took so long: whose sleep tells whether more threads would help.
  PoolWorkers peers_to_ask(const PoolWorker& self, Clock::duration took) const
      REQUIRES(threads_.mutex) {
    if (took < PoolThreads::slow || queue_.empty()) return {};
    const auto now = Clock::now();
    if (now - queue_.front().since < PoolThreads::slow) return {};
    return threads_.peers(self, queue_.size(), now);
  }

  /// Runs the slot's operation; `old` takes the file it held before, to be closed when the
  /// completion has been told: a close may be a round trip.
  Completion run(std::uint32_t slot, FileDescriptor& old) {
    PoolSlot& s = slots_[slot];
    if (s.open) {
      old = std::move(s.file);
      int error = 0;
      do {
        error = s.open_file();
      } while ((error == EMFILE || error == ENFILE) && close_unused(old));
      if (error != 0) return {slot, Step::open, -error};
    }
    return {slot, Step::read, s.read_file()};
  }

  /// Makes a descriptor free: `old`'s, else one that is to be closed or that a released slot still
  /// has. False: there is none.
  bool close_unused(FileDescriptor& old) {
    if (old.get() < 0) {
      const MutexLock lock(threads_.mutex);
      if (!unused_.empty()) {
        old = std::move(unused_.back());
        unused_.pop_back();
      }
      for (std::size_t slot = 0; slot < slots_.size() && old.get() < 0; ++slot) {
        if (released_[slot]) old = std::move(slots_[slot].file);
      }
      if (old.get() < 0) return false;
    }
    old.reset();
    return true;
  }

  const Root root_;
  std::string note_;
  std::vector<PoolSlot> slots_;  ///< each of the thread that has its operation
  PoolThreads threads_;

  ConditionVariable finished_;
  std::deque<Waiting> queue_ GUARDED_BY(threads_.mutex);
  std::vector<Completion> done_ GUARDED_BY(threads_.mutex);
  std::vector<bool> released_
      GUARDED_BY(threads_.mutex);  ///< slots whose file any worker may close
  std::vector<FileDescriptor> unused_ GUARDED_BY(threads_.mutex);  ///< to be closed, the last first
  bool woken_ GUARDED_BY(threads_.mutex) = false;
};

}  // namespace

std::unique_ptr<Engine> make_pool_engine(const PoolEngineOptions& options) {
  return std::make_unique<PoolEngine>(options);
}

std::unique_ptr<Engine> make_pool_engine(const EngineOptions& options) {
  return make_pool_engine(PoolEngineOptions{options, 0, 0});
}

}  // namespace ringfeed::io
