#include "io/ring_engine.h"

#include <fcntl.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

#include "base/file_descriptor.h"
#include "io/fs_probe.h"
#include "io/ring.h"
#include "io/root.h"

namespace ringfeed::io {
namespace {

/// One file is one chain: open → advise → read, of which exactly one completion arrives: that of
/// the read, or of the first step that failed (its link partners' are suppressed with its own).
/// No close is part of it: the next open into the slot replaces the file, and a close would race
/// with it (19,936 of 20,000 cached reads failed with EBADF). So close_files() closes, and a slot's
/// next chain waits until its close is done.
///
/// The advice is for its side effect: it fails with ESPIPE on a pipe. An O_NONBLOCK open does not
/// wait for a FIFO's writer, but io_uring would poll the FIFO for data for ever. (A terminal still
/// is polled; cancel() ends that.)
constexpr unsigned chain_length = 3;

enum class Tag : std::uint8_t { open, advise, read, read_on, cancel, close, wake };

std::uint64_t pack(Tag tag, std::uint32_t slot) {
  return std::uint64_t{slot} | std::uint64_t(tag) << 32;
}
Tag tag_of(std::uint64_t data) { return static_cast<Tag>(data >> 32); }
std::uint32_t slot_of(std::uint64_t data) { return static_cast<std::uint32_t>(data); }

class RingEngine final : public Engine {
 public:
  explicit RingEngine(const RingEngineOptions& options)
      : root_(options.root),
        wake_fd_(eventfd(0, EFD_CLOEXEC)),
        ring_({.files = options.slots, .workers = options.workers, .entries = options.entries}),
        async_opens_(options.async_opens.value_or(opens_may_block(options.root))),
        slots_(ring_.files()) {
    if (wake_fd_.get() < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  }

  std::string_view name() const noexcept override { return "ring"; }
  std::uint32_t slots() const noexcept override { return ring_.files(); }
  const std::string& note() const noexcept override { return ring_.note(); }

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
    Slot& s = slots_[slot];
    if (s.state == State::idle || s.cancel) return;
    s.cancel = true;
    pending_.push_back(slot);
  }

  void release(std::uint32_t slot) override { slots_[slot].released = true; }

  void close_files() override {
    for (std::uint32_t slot = 0; slot < slots(); ++slot) {
      Slot& s = slots_[slot];
      if (!s.released || !s.holds_file || s.close != Close::none) continue;
      s.close = Close::wanted;
      pending_.push_back(slot);
    }
  }

  void poll(Clock::time_point until, std::vector<Completion>& out) override {
    const std::size_t before = out.size();
    out_ = &out;
    for (;;) {
      flush();
      const bool wait = until != at_once && out.size() == before && !woken_;
      const auto left = wait ? time_left(until) : std::chrono::nanoseconds::zero();
      if (!submit(left)) std::this_thread::yield();
      ring_.drain([this](std::uint64_t data, int result) { complete(data, result); });
      if (left <= left.zero() || out.size() > before || woken_) break;
    }
    if (until != at_once && woken_) {
      woken_ = false;
      // Taken back before the caller looks at what it was woken for: a later wake() writes again.
      wake_written_.exchange(false, std::memory_order_acq_rel);
    }
  }

  void wake() noexcept override {
    if (!wake_written_.exchange(true, std::memory_order_acq_rel)) eventfd_write(wake_fd_.get(), 1);
  }

 private:
  static std::chrono::nanoseconds time_left(Clock::time_point until) {
    return until == for_ever ? Ring::for_ever : until - Clock::now();
  }

  enum class State : std::uint8_t { idle, waiting, queued };
  enum class Close : std::uint8_t { none, wanted, queued };
  struct Slot {
    std::string path;  ///< from "/"
    std::byte* data = nullptr;
    std::uint32_t size = 0;
    std::uint64_t offset = 0;
    State state = State::idle;
    Close close = Close::none;
    bool holds_file = false;
    bool released = false;
    bool open = false;     ///< a chain that opens `path`; else reads on
    bool wait = false;     ///< open and read without O_NONBLOCK
    bool async = false;    ///< the file is opened, and read on, in io-wq
    bool cancel = false;   ///< asked for, not yet sent
    bool retried = false;  ///< the read gave EAGAIN once
  };

  void start(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
             std::uint64_t offset, bool wait = false) {
    constexpr std::size_t most = 0x7ffff000;  // MAX_RW_COUNT, what one read can return
    Slot& s = slots_[slot];
    s.data = buffer.data();
    s.size = static_cast<std::uint32_t>(std::min(buffer.size(), most));
    s.offset = offset;
    s.state = State::waiting;
    s.open = path != nullptr;
    s.wait = wait;
    s.cancel = s.retried = s.released = false;
    if (s.close == Close::wanted) s.close = Close::none;
    if (s.open) {
      root_.put_before(path, s.path);
      // An absolute path leads to a file system that nobody has looked at.
      s.async = wait || async_opens_ || path[0] == '/';
    }
    if (wait || s.close == Close::queued || !queue(slot)) pending_.push_back(slot);
  }

  /// Room for `n` entries that must be submitted together: a chain cut in two reads whatever file
  /// the slot held before.
  bool make_room(unsigned n) {
    if (ring_.space_left() >= n) return true;
    return submit(std::chrono::nanoseconds::zero()) && ring_.space_left() >= n;
  }

  bool submit(std::chrono::nanoseconds wait) {
    const bool taken = ring_.submit(wait);
    const io_uring_sqe* next = ring_.first_unsubmitted();
    if (next != nullptr &&
        (tag_of(next->user_data) == Tag::advise || tag_of(next->user_data) == Tag::read)) {
      // Only when the kernel runs out of memory half way; the file read would be the wrong one.
      throw std::system_error(ENOMEM, std::generic_category(), "io_uring: chain cut in two");
    }
    return taken;
  }

  bool queue(std::uint32_t slot) {
    Slot& s = slots_[slot];
    const bool chain = s.open && !s.retried;
    if (!make_room(chain ? chain_length : 1)) return false;
    const int file = static_cast<int>(slot);
    bool async = s.retried || async_reads_;
    if (chain) {
      io_uring_sqe* open = ring_.next_sqe();
      io_uring_prep_openat_direct(open, AT_FDCWD, s.path.c_str(),
                                  O_RDONLY | (s.wait ? 0 : O_NONBLOCK), 0, slot);
      open->flags |= IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
      // A warm dentry lets the open run inside io_uring_enter and wait there for the server: one
      // open at a time (49 files/s, not 1,553). The chain then stays in io-wq.
      if (s.async) open->flags |= IOSQE_ASYNC;
      open->user_data = pack(Tag::open, slot);

      io_uring_sqe* advise = ring_.next_sqe();
      io_uring_prep_fadvise(advise, file, 0, 0, POSIX_FADV_NORMAL);
      advise->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS;
      advise->user_data = pack(Tag::advise, slot);
    } else {
      // O_NONBLOCK makes io_uring try the read inline even where the file system ignores NOWAIT.
      async |= s.async;
    }
    io_uring_sqe* read = ring_.next_sqe();
    io_uring_prep_read(read, file, s.data, s.size, s.offset);
    read->flags |= IOSQE_FIXED_FILE;
    if (async) read->flags |= IOSQE_ASYNC;
    read->user_data = pack(chain ? Tag::read : Tag::read_on, slot);
    s.state = State::queued;
    return true;
  }

  /// Names the open until it has completed, and the read after it: the engine cannot know which.
  /// Entries are taken in order and the slot's next file is queued later: it is out of reach.
  bool queue_cancel(std::uint32_t slot) {
    const Slot& s = slots_[slot];
    if (!make_room(2)) return false;
    const Tag read = s.open && !s.retried ? Tag::read : Tag::read_on;
    for (const Tag tag : {Tag::open, read}) {
      io_uring_sqe* cancel = ring_.next_sqe();
      io_uring_prep_cancel64(cancel, pack(tag, slot), 0);
      cancel->user_data = pack(Tag::cancel, slot);
    }
    return true;
  }

  bool queue_close(std::uint32_t slot) {
    if (!make_room(1)) return false;
    Slot& s = slots_[slot];
    io_uring_sqe* close = ring_.next_sqe();
    io_uring_prep_close_direct(close, slot);
    close->flags |= IOSQE_ASYNC;  // may be a round trip: many at once, and none on this thread
    close->user_data = pack(Tag::close, slot);
    s.close = Close::queued;
    return true;
  }

  void flush() {
    if (!wake_armed_ && make_room(1)) {
      io_uring_sqe* read = ring_.next_sqe();
      io_uring_prep_read(read, wake_fd_.get(), &wake_count_, sizeof wake_count_, 0);
      read->user_data = pack(Tag::wake, 0);
      wake_armed_ = true;
    }
    std::size_t done = 0;
    for (; done < pending_.size(); ++done) {
      const std::uint32_t slot = pending_[done];
      Slot& s = slots_[slot];
      if (s.state == State::waiting && s.cancel) {
        finish(slot, s.open && !s.retried ? Step::open : Step::read, -ECANCELED);
      } else if (s.close == Close::queued) {
        // What waits is looked at again when the close is done.
      } else if (s.close == Close::wanted) {
        if (!queue_close(slot)) break;
      } else if (s.state == State::waiting && s.wait && !is_regular(s.path.c_str())) {
        finish(slot, Step::open, -EAGAIN);
      } else if (s.state == State::waiting) {
        if (!queue(slot)) break;
      } else if (s.state == State::queued && s.cancel) {
        if (!queue_cancel(slot)) break;
        s.cancel = false;  // sent; asking again sends it again
      }
    }
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
  }

  void complete(std::uint64_t data, int result) {
    const std::uint32_t slot = slot_of(data);
    switch (tag_of(data)) {
      case Tag::wake:
        wake_armed_ = false;
        woken_ = true;
        break;
      case Tag::cancel: break;  // ENOENT and EALREADY are normal; the operation tells its own end
      case Tag::close:
        // Its error would be one of the file's storage, whose bytes are here already.
        slots_[slot].close = Close::none;
        slots_[slot].holds_file = false;
        if (slots_[slot].state == State::waiting) pending_.push_back(slot);
        break;
      case Tag::open: finish(slot, Step::open, result); break;  // an earlier file stays in the slot
      case Tag::advise:
        slots_[slot].holds_file = true;
        finish(slot, Step::read, result);
        break;
      case Tag::read:
      case Tag::read_on:
        slots_[slot].holds_file = true;
        if (result == -EAGAIN && !slots_[slot].retried) {
          retry_in_io_wq(slot);
        } else {
          // Worth remembering only where it helped: a terminal gives EAGAIN again.
          if (slots_[slot].retried && result != -EAGAIN) async_reads_ = true;
          finish(slot, Step::read, result);
        }
        break;
    }
  }

  /// O_NONBLOCK on a file system without NOWAIT may fail a read that would have to wait, instead
  /// of handing it to io-wq.
  void retry_in_io_wq(std::uint32_t slot) {
    Slot& s = slots_[slot];
    s.retried = true;
    s.state = State::waiting;
    pending_.push_back(slot);
  }

  void finish(std::uint32_t slot, Step step, int result) {
    slots_[slot].state = State::idle;
    slots_[slot].cancel = false;
    out_->push_back({slot, step, result});
  }

  const Root root_;
  const FileDescriptor wake_fd_;
  Ring ring_;
  const bool async_opens_;
  bool async_reads_ = false;
  bool wake_armed_ = false;
  bool woken_ = false;  ///< the eventfd was read since the last blocking poll returned
  std::uint64_t wake_count_ = 0;
  std::atomic<bool> wake_written_ = false;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> pending_;  ///< slots with an operation or a cancellation to queue
  std::vector<Completion>* out_ = nullptr;
};

}  // namespace

std::unique_ptr<Engine> make_ring_engine(const RingEngineOptions& options) {
  return std::make_unique<RingEngine>(options);
}

std::unique_ptr<Engine> make_ring_engine(const EngineOptions& options) {
  return make_ring_engine(RingEngineOptions{options, 0, 0, std::nullopt});
}

}  // namespace ringfeed::io
