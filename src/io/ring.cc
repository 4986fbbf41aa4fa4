#include "io/ring.h"

#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <vector>

namespace ringfeed::io {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
  throw std::system_error(error, std::generic_category(), what);
}

// A submit for every 85 chains costs little, and RLIMIT_MEMLOCK may be 64 KiB.
constexpr unsigned most_entries = 256;
constexpr unsigned few_entries = 64;

int init(io_uring& ring, unsigned entries, std::uint32_t files) {
  // Newest first: 6.1, 5.19, 5.17. An unknown flag is EINVAL.
  constexpr unsigned rungs[] = {
      IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL,
      IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL,
      0,
  };
  int result = -EINVAL;
  for (const unsigned flags : rungs) {
    io_uring_params params{};
    params.flags = flags | IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE;
    // Between two drains a file can complete once and be cancelled twice (open and read), and the
    // wake-up completes once: the queue never overflows.
    params.cq_entries = std::max(entries, std::bit_ceil(files * 3 + 1));
    result = io_uring_queue_init_params(entries, &ring, &params);
    if (result != -EINVAL) break;
  }
  return result;
}

}  // namespace

Ring::Ring(const Options& options) : wanted_(std::max(options.files, 1u)), files_(wanted_) {
  set_up(options);
  require_features();
  require_enter();
  // A forked child has no use for the queues, and its exit must not touch them.
  if (const int error = io_uring_ring_dontfork(&handle_.ring); error < 0) {
    fail(-error, "io_uring: madvise(MADV_DONTFORK)");
  }
  register_files();
  // Both limits: an open counts as bounded work, a read forced to io-wq as unbounded. The kernel's
  // default (4 x CPUs) would be the depth on every file system that blocks: 197 files/s, not 6,000.
  const unsigned workers = options.workers != 0 ? options.workers : files_;
  unsigned limits[2] = {workers, workers};
  if (const int error = io_uring_register_iowq_max_workers(&handle_.ring, limits); error < 0) {
    fail(-error, "io_uring: IORING_REGISTER_IOWQ_MAX_WORKERS (kernel 5.15)");
  }
}

void Ring::set_up(const Options& options) {
  // Three entries a chain.
  unsigned entries = std::clamp(std::bit_ceil(files_ * 3), 8u, most_entries);
  if (options.entries != 0) entries = options.entries;
  for (;;) {
    const int error = init(handle_.ring, entries, files_);
    if (error == 0) break;
    if (error != -ENOMEM || files_ == 1) fail(-error, "io_uring_setup");
    // The queues count against RLIMIT_MEMLOCK (before 5.12, and again on 6.18). A shorter
    // submission queue costs no depth, so it goes first.
    if (entries > few_entries) {
      entries = few_entries;
    } else {
      give_up(ENOMEM, files_ / 2);
    }
  }
  handle_.open = true;
}

void Ring::require_features() {
  if (const char* missing = missing_feature(handle_.ring.features)) {
    fail(ENOSYS, std::string("io_uring: no ") + missing);
  }
  const std::unique_ptr<io_uring_probe, void (*)(io_uring_probe*)> probe(
      io_uring_get_probe_ring(&handle_.ring), io_uring_free_probe);
  if (!probe) fail(ENOSYS, "io_uring: IORING_REGISTER_PROBE");
  const struct {
    int op;
    const char* name;
  } needed[] = {{IORING_OP_OPENAT, "OPENAT"},
                {IORING_OP_READ, "READ"},
                {IORING_OP_CLOSE, "CLOSE"},
                {IORING_OP_FADVISE, "FADVISE"},
                {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"}};
  for (const auto& [op, name] : needed) {
    if (!io_uring_opcode_supported(probe.get(), op)) {
      fail(ENOSYS, std::string("io_uring: operation ") + name);
    }
  }
}

/// A profile may forbid io_uring_enter alone, which no other call of the set-up makes.
void Ring::require_enter() {
  io_uring_prep_nop(next_sqe());
  int result = 0;
  do {
    result = io_uring_submit_and_wait(&handle_.ring, 1);
  } while (result == -EINTR || result == -EAGAIN || result == -EBUSY);
  if (result < 0) fail(-result, "io_uring_enter");
  drain([](std::uint64_t, int) {});
}

const char* Ring::missing_feature(std::uint32_t features) noexcept {
  // Without it a linked read resolves its descriptor before the open has run, and would read the
  // slot's old file.
  if ((features & IORING_FEAT_LINKED_FILE) == 0) return "deferred file assignment (kernel 5.17)";
  // Implies direct descriptors (5.15).
  if ((features & IORING_FEAT_CQE_SKIP) == 0) return "CQE_SKIP_SUCCESS (kernel 5.17)";
  // Without it liburing queues an entry for the time to wait, in the room that a chain has checked.
  if ((features & IORING_FEAT_EXT_ARG) == 0) return "EXT_ARG (kernel 5.11)";
  return nullptr;
}

void Ring::register_files() {
  for (;;) {
    int error = io_uring_register_files_sparse(&handle_.ring, files_);
    if (error == -EINVAL) {  // before 5.19
      const std::vector<int> empty(files_, -1);
      error = io_uring_register_files(&handle_.ring, empty.data(), files_);
    }
    if (error >= 0) return;
    if ((error != -EMFILE && error != -ENOMEM) || files_ == 1) {
      fail(-error, "io_uring: IORING_REGISTER_FILES");
    }
    std::uint32_t fewer = files_ / 2;
    rlimit limit{};
    // Half of the descriptors stay free for the process.
    if (error == -EMFILE && getrlimit(RLIMIT_NOFILE, &limit) == 0) {
      fewer = static_cast<std::uint32_t>(std::clamp<rlim_t>(limit.rlim_cur / 2, 1, fewer));
    }
    give_up(-error, fewer);
  }
}

void Ring::give_up(int error, std::uint32_t fewer) {
  note_ = std::to_string(wanted_) + " slots refused (" + strerrorname_np(error) + "), using " +
          std::to_string(fewer);
  files_ = fewer;
}

bool Ring::submit(std::chrono::nanoseconds wait) {
  int result = 0;
  if (wait == for_ever) {
    result = io_uring_submit_and_wait(&handle_.ring, 1);
  } else if (wait > std::chrono::nanoseconds::zero()) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(wait);
    __kernel_timespec limit{seconds.count(), (wait - seconds).count()};
    io_uring_cqe* first = nullptr;
    result = io_uring_submit_and_wait_timeout(&handle_.ring, &first, 1, &limit, nullptr);
    if (result == -ETIME) return true;
  } else {
    // With DEFER_TASKRUN completions appear only in a call that asks for events.
    result = io_uring_submit_and_get_events(&handle_.ring);
  }
  if (result >= 0) return true;
  if (result == -EAGAIN || result == -EBUSY || result == -EINTR) return false;
  fail(-result, "io_uring_enter");
}

const io_uring_sqe* Ring::first_unsubmitted() const noexcept {
  const io_uring_sq& queue = handle_.ring.sq;
  const unsigned head = io_uring_smp_load_acquire(queue.khead);
  return head == queue.sqe_tail ? nullptr : &queue.sqes[head & queue.ring_mask];
}

}  // namespace ringfeed::io
