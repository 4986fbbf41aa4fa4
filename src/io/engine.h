#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringfeed::io {

/// Opens and reads files into caller-owned memory, many at once: io_uring or a pool of threads.
/// Knows nothing of samples, credits or images.
///
/// All members but wake() belong to the reader thread, which also creates and destroys the engine
/// (a SINGLE_ISSUER ring is bound to it). A slot holds at most one open file and at most one
/// operation; every open_and_read() and read_more() yields exactly one Completion with that slot.
class Engine {
 public:
  using Clock = std::chrono::steady_clock;
  /// For poll(): not to wait; to wait for a completion or wake(), however long.
  static constexpr Clock::time_point at_once = Clock::time_point::min();
  static constexpr Clock::time_point for_ever = Clock::time_point::max();

  enum class Step : std::uint8_t { open, read };
  struct Completion {
    std::uint32_t slot;
    Step step;   ///< which step `result` is about; `open` only with a negative result
    int result;  ///< bytes read (0 at the end of the file), or -errno
  };

  virtual ~Engine() = default;

  virtual std::string_view name() const noexcept = 0;  ///< "ring" or "pool"
  /// Slots 0 … slots() - 1; may be fewer than asked for where limits are tight.
  virtual std::uint32_t slots() const noexcept = 0;
  /// What was given up to start at all ("4096 slots refused (EMFILE), using 512"); empty if
  /// nothing.
  virtual const std::string& note() const noexcept = 0;

  /// Opens `path` (below the engine's root unless absolute) into `slot` and reads up to
  /// buffer.size() bytes from `offset`. Never blocks on a FIFO. `buffer` stays valid and untouched
  /// until the completion. The slot's earlier file, if any, is gone.
  virtual void open_and_read(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
                             std::uint64_t offset) = 0;
  /// Likewise, of a file that somebody holds by a lease or a group lock: waits until it is let go,
  /// where open_and_read() completes with EAGAIN. Of what is no regular file, and could be waited
  /// for without end, the completion has EAGAIN here too.
  virtual void wait_and_read(std::uint32_t slot, const char* path, std::span<std::byte> buffer,
                             std::uint64_t offset) = 0;
  /// Reads on from the file open in `slot`.
  virtual void read_more(std::uint32_t slot, std::span<std::byte> buffer, std::uint64_t offset) = 0;
  /// Asks the kernel to give the slot's operation up; its completion still comes, perhaps late,
  /// perhaps with data. May be asked again: what falls between the open and the read is lost.
  virtual void cancel(std::uint32_t slot) = 0;
  /// The slot's file is no longer needed (no operation outstanding). Never blocks. It may stay open
  /// until the slot's next file, which is cheaper.
  virtual void release(std::uint32_t slot) = 0;
  /// Closes the files of all released slots, in the background, from the next poll on. Never
  /// blocks.
  virtual void close_files() = 0;

  /// Submits what is queued and appends the completions there are to `out`. Unless `until` is
  /// at_once, it waits for one, for wake(), or until that time. A wake() since the last poll that
  /// waited counts.
  virtual void poll(Clock::time_point until, std::vector<Completion>& out) = 0;

  /// Ends a poll that waits, now or the next one. Any thread, never blocks.
  virtual void wake() noexcept = 0;
};

struct EngineOptions {
  std::uint32_t slots = 64;  ///< files in flight
  std::string root;          ///< directory that relative paths start from; see io/root.h
};

/// Created on the reader thread. Throws std::system_error when the kernel or a container forbids
/// io_uring (the caller then takes the pool).
std::unique_ptr<Engine> make_ring_engine(const EngineOptions& options);
std::unique_ptr<Engine> make_pool_engine(const EngineOptions& options);

}  // namespace ringfeed::io
