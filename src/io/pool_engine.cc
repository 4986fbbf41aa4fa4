#include "io/pool_engine.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <system_error>
#include <thread>

#include "base/file_descriptor.h"
#include "base/mutex.h"
#include "base/retry.h"
#include "base/thread_start.h"
#include "io/root.h"

namespace ringfeed::io {
namespace {

/// Blocking reads on threads of our own, for where io_uring is missing or forbidden.
class PoolEngine final : public Engine {
 public:
  explicit PoolEngine(const PoolEngineOptions& options) : root_(options.root) {
    const std::uint32_t wanted = std::max(options.slots, 1u);
    slots_.resize(std::min(wanted, descriptors_for_slots()));
    released_.resize(slots_.size());
    unused_.reserve(slots_.size());
    if (slots_.size() < wanted) {
      note_ = std::to_string(wanted) + " slots refused (EMFILE), using " +
              std::to_string(slots_.size());
    }
    most_threads_ = std::min(slots_.size(), std::size_t{options.threads});
    if (most_threads_ == 0) most_threads_ = slots_.size();
    threads_.reserve(most_threads_);
    const MutexLock lock(mutex_);
    add_thread();  // throws here if there cannot even be one
  }

  ~PoolEngine() override {
    {
      const MutexLock lock(mutex_);
      stopping_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

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
    const MutexLock lock(mutex_);
    const auto found = std::find(queue_.begin(), queue_.end(), slot);
    if (found == queue_.end()) return;  // running: it tells its own end
    queue_.erase(found);
    done_.push_back({slot, slots_[slot].open ? Step::open : Step::read, -ECANCELED});
  }

  // Closing may wait for a server; the worker that opens the slot's next file does it, or one that
  // lacks a descriptor.
  void release(std::uint32_t slot) override {
    const MutexLock lock(mutex_);
    released_[slot] = true;
  }

  void close_files() override {
    {
      const MutexLock lock(mutex_);
      for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
        if (released_[slot] && slots_[slot].file) unused_.push_back(std::move(slots_[slot].file));
      }
    }
    work_.notify_all();
  }

  void poll(Clock::time_point until, std::vector<Completion>& out) override {
    MutexLock lock(mutex_);
    if (until != at_once) {
      bool late = false;
      while (done_.empty() && !woken_ && !late) {
        if (until == for_ever) {
          finished_.wait(lock);
        } else {
          late = finished_.wait_until(lock, until) == std::cv_status::timeout;
        }
      }
      woken_ = false;
    }
    out.insert(out.end(), done_.begin(), done_.end());
    done_.clear();
  }

  void wake() noexcept override {
    {
      const MutexLock lock(mutex_);
      woken_ = true;
    }
    finished_.notify_one();
  }

 private:
  struct Slot {
    FileDescriptor file;
    std::string path;  ///< from "/"
    std::span<std::byte> buffer;
    std::uint64_t offset = 0;
    bool open = false;  ///< opens `path` first; else reads on
    bool wait = false;  ///< open and read without O_NONBLOCK
  };

  static std::uint32_t descriptors_for_slots() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
    // Two a slot for a moment, while the old file is closed after the new one has been read.
    return static_cast<std::uint32_t>(std::clamp<rlim_t>(limit.rlim_cur / 2, 1, 1u << 30));
  }

  void start(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
             std::uint64_t offset, bool wait = false) {
    {
      const MutexLock lock(mutex_);
      Slot& s = slots_[slot];
      s.open = path != nullptr;
      if (s.open) root_.put_before(path, s.path);
      s.buffer = buffer;
      s.offset = offset;
      s.wait = wait;
      released_[slot] = false;
      queue_.push_back(slot);
      // Threads appear only while all there are have something to wait for.
      if (queue_.size() > idle_ && threads_.size() < most_threads_) {
        try {
          add_thread();
        } catch (const std::system_error& error) {
          most_threads_ = threads_.size();
          if (!note_.empty()) note_ += "; ";
          note_ += "thread " + std::to_string(threads_.size() + 1) + " refused (" +
                   strerrorname_np(error.code().value()) + "), using " +
                   std::to_string(threads_.size());
        }
      }
    }
    work_.notify_one();
  }

  void add_thread() REQUIRES(mutex_) {
    threads_.push_back(
        start_thread("rf-read-" + std::to_string(threads_.size()), [this] { work(); }));
    ++idle_;  // until it has taken its first operation
  }

  void work() {
    MutexLock lock(mutex_);
    for (;;) {
      while (!stopping_ && queue_.empty() && unused_.empty()) work_.wait(lock);
      if (stopping_) return;
      --idle_;
      FileDescriptor old;
      if (!queue_.empty()) {
        const std::uint32_t slot = queue_.front();
        queue_.pop_front();
        lock.unlock();
        const Completion completion = run(slot, old);
        lock.lock();
        done_.push_back(completion);
        finished_.notify_one();
      }
      // One with each operation, or they would wait for a queue that never runs empty.
      if (old.get() < 0 && !unused_.empty()) {
        old = std::move(unused_.back());
        unused_.pop_back();
      }
      if (old.get() >= 0) {
        lock.unlock();
        old.reset();
        lock.lock();
      }
      ++idle_;
    }
  }

  /// Runs the slot's operation; `old` takes the file it held before, to be closed when the
  /// completion has been told: a close may be a round trip.
  Completion run(std::uint32_t slot, FileDescriptor& old) {
    Slot& s = slots_[slot];
    if (s.open) {
      old = std::move(s.file);
      if (s.wait && !is_regular(s.path.c_str())) return {slot, Step::open, -EAGAIN};
      // O_NONBLOCK: a FIFO's open must not wait for a writer; its pread then gives ESPIPE.
      const int flags = O_RDONLY | O_CLOEXEC | (s.wait ? 0 : O_NONBLOCK);
      int error = 0;
      do {
        s.file = FileDescriptor(retry_interrupted([&] { return ::open(s.path.c_str(), flags); }));
        error = s.file.get() < 0 ? errno : 0;
      } while ((error == EMFILE || error == ENFILE) && close_unused(old));
      if (error != 0) return {slot, Step::open, -error};
    }
    const auto count = retry_interrupted([&] {
      return ::pread(s.file.get(), s.buffer.data(), s.buffer.size(), static_cast<off_t>(s.offset));
    });
    return {slot, Step::read, count < 0 ? -errno : static_cast<int>(count)};
  }

  /// Makes a descriptor free: `old`'s, else one that is to be closed or that a released slot still
  /// has. False: there is none.
  bool close_unused(FileDescriptor& old) {
    if (old.get() < 0) {
      const MutexLock lock(mutex_);
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
  std::vector<Slot> slots_;  ///< each of the thread that has its operation
  std::vector<std::thread> threads_;
  std::size_t most_threads_ = 0;

  Mutex mutex_;
  ConditionVariable work_, finished_;
  std::deque<std::uint32_t> queue_ GUARDED_BY(mutex_);
  std::vector<Completion> done_ GUARDED_BY(mutex_);
  std::vector<bool> released_ GUARDED_BY(mutex_);  ///< slots whose file any worker may close
  std::vector<FileDescriptor> unused_ GUARDED_BY(mutex_);  ///< to be closed, the last first
  std::size_t idle_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool woken_ GUARDED_BY(mutex_) = false;
};

}  // namespace

std::unique_ptr<Engine> make_pool_engine(const PoolEngineOptions& options) {
  return std::make_unique<PoolEngine>(options);
}

std::unique_ptr<Engine> make_pool_engine(const EngineOptions& options) {
  return make_pool_engine(PoolEngineOptions{options, 0});
}

}  // namespace ringfeed::io
