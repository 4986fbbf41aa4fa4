#pragma once

#include <liburing.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace ringfeed::io {

/// An io_uring with a table of direct descriptors, set up as this kernel allows. Knows no files.
/// Made, used and destroyed on one thread (SINGLE_ISSUER binds it there).
class Ring {
 public:
  struct Options {
    std::uint32_t files = 64;   ///< direct descriptors
    std::uint32_t workers = 0;  ///< io-wq threads at most, of each kind; 0: as many as `files`
    std::uint32_t entries = 0;  ///< submission queue entries; 0 derives them from `files`
  };

  /// Throws std::system_error naming the call or the feature that is missing.
  explicit Ring(const Options& options);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  std::uint32_t files() const noexcept { return files_; }  ///< may be fewer than asked for
  const std::string& note() const noexcept { return note_; }

  unsigned space_left() const noexcept { return io_uring_sq_space_left(&handle_.ring); }
  /// Needs space_left() > 0.
  io_uring_sqe* next_sqe() noexcept { return io_uring_get_sqe(&handle_.ring); }

  static constexpr auto for_ever = std::chrono::nanoseconds::max();
  /// Submits everything queued and collects what completed meanwhile; sleeps until there is a
  /// completion, `wait` at most (0 or less: not at all). False when the kernel took nothing for now
  /// (EAGAIN, EBUSY, EINTR): drain and try again. Throws std::system_error for anything else.
  bool submit(std::chrono::nanoseconds wait);

  /// The feature that a kernel with these IORING_FEAT_* flags lacks and this class needs, or
  /// nullptr.
  static const char* missing_feature(std::uint32_t features) noexcept;

  /// The first entry the kernel has not taken yet, or nullptr.
  const io_uring_sqe* first_unsubmitted() const noexcept;

  /// Calls consume(user_data, result) for every completion there is.
  template <class Consume>
  void drain(Consume&& consume) {
    io_uring_cqe* batch[64];
    while (const unsigned n = io_uring_peek_batch_cqe(&handle_.ring, batch, 64)) {
      for (unsigned i = 0; i < n; ++i) consume(batch[i]->user_data, batch[i]->res);
      io_uring_cq_advance(&handle_.ring, n);
    }
  }

 private:
  // A member of its own, so that a constructor that throws later still closes the ring.
  struct Handle {
    io_uring ring{};
    bool open = false;
    ~Handle() {
      if (open) io_uring_queue_exit(&ring);
    }
  };

  void set_up(const Options& options);
  void require_enter();
  void require_features();
  void register_files();
  void give_up(int error, std::uint32_t fewer);

  Handle handle_;
  const std::uint32_t wanted_;
  std::uint32_t files_;
  std::string note_;
};

}  // namespace ringfeed::io
