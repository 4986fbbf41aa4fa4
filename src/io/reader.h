#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/expected.h"
#include "io/credits.h"
#include "io/depth_limit.h"
#include "io/engine.h"
#include "io/size_guess.h"

namespace ringfeed::io {

/// A whole file in its Buffer's memory, or as much of it as the image takes.
struct Encoded {
  std::size_t size = 0;
  /// A read past the end returned 0. Otherwise the bytes look complete, and were believed: they end
  /// cleanly, or hold all of an image.
  bool end_confirmed = false;
};

/// What one finished file cost, for statistics.
struct ReadReport {
  std::chrono::steady_clock::duration latency;
  std::size_t bytes;
  bool failed;
  int retries;  ///< times that it was opened again
};

struct ReaderOptions {
  std::size_t max_file_bytes = std::size_t{64} << 20;
  int retries = 0;   ///< times that a file is opened again after an error that may pass
  std::string root;  ///< put before relative paths in errors
  /// The path of a file number, as the engine opens it; writes into a reused string.
  std::function<void(std::uint64_t file, std::string& out)> path_of;
  /// Whether a file's last bytes look like its format's end.
  std::function<bool(std::span<const std::byte> tail)> ends_cleanly;
  /// How many of a file's first bytes are all that is wanted of it; 0 where these do not tell.
  std::function<std::size_t(std::span<const std::byte> beginning)> image_end;
  std::function<void(const ReadReport&)> report;
};

/// Reads whole files of unknown size through an Engine, within Credits: the attempts, their slots
/// and buffers, and growth. Reader thread only; awaiting coroutines are resumed from complete(),
/// serve() and cancel_before(). Asks for no time: `now` is the caller's.
class Reader {
 public:
  using Clock = std::chrono::steady_clock;

  /// Bytes the reserve must have so that any legal file fits with its end known.
  static std::size_t reserve_bytes(std::size_t max_file_bytes) noexcept {
    return Arena::round_up(max_file_bytes + 1);
  }

  Reader(Engine& engine, Credits& credits, ReaderOptions options);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  /// A slot is free for another file.
  bool can_start() const noexcept;
  std::size_t guess() const noexcept { return guess_.bytes(); }

  class Read;
  /// Awaitable: reads `file` into `buffer`, which grows as needed. Afterwards it has the file's
  /// size, rounded up to a page. It must outlive the await, and is empty meanwhile. `to_end`: an
  /// earlier read believed in an end that is none, so that only the file's own is taken for one.
  /// Every read begins with the file's first byte: its name may lead to another file by then. A
  /// sample's first read asks for can_start() to hold.
  Read read(Clock::time_point now, std::uint64_t sequence, std::uint64_t file, Buffer& buffer,
            bool to_end = false);

  /// Feeds one of the engine's completions.
  void complete(Clock::time_point now, const Engine::Completion& completion);
  /// Starts what waits for room, a slot or descriptors. Once per turn of the loop.
  void serve(Clock::time_point now, std::uint64_t oldest);
  /// When serve() has an open to make again; Engine::for_ever where there is none.
  Clock::time_point next_retry() const noexcept;
  /// The engine has nothing to do: what is unfinished waits for bytes, or for serve().
  bool engine_idle() const noexcept { return depth_limit_.operations() == 0; }
  /// True while somebody waits for bytes or slots to be freed.
  bool short_of_room() const noexcept;
  /// Gives up the reads of lower sequences, now and in future; they end with ECANCELED, those under
  /// way as their completions come. May be asked again: a cancellation that meets a file between
  /// its open and its read is lost.
  void cancel_before(std::uint64_t sequence);

  std::size_t in_flight() const noexcept { return in_flight_; }
  /// Reads that have not ended, those included that wait for a slot.
  std::size_t unfinished() const noexcept { return in_flight_ + waiting_.size(); }
  /// Paths of the files being read, oldest first, with the seconds each has taken: ten of them, and
  /// how many more there are. Control characters of names are written out.
  std::vector<std::string> outstanding(Clock::time_point now) const;

 private:
  struct Attempt;
  using Result = Expected<Encoded>;

  bool has_slot() const noexcept;
  bool cancelled(std::uint64_t sequence) const noexcept { return sequence < cancelled_before_; }
  void start(Clock::time_point now, Read& read);
  void wait_for_slot(Read& read);
  bool make_slot(const Read& read);
  Read& release(Attempt& attempt);
  void issue(Attempt& attempt);
  std::optional<Result> on_bytes(Attempt& attempt, std::size_t bytes);
  std::optional<Result> on_error(Clock::time_point now, Attempt& attempt, Engine::Step step,
                                 int error);
  static void begin_anew(Attempt& attempt);
  void retry_due(Clock::time_point now);
  void grow(Attempt& attempt);
  void end(Attempt& attempt, Result result);
  void resume(Read& read, Result result);
  tl::unexpected<Error> given_up(const Attempt& attempt) const;
  tl::unexpected<Error> error(const Attempt& attempt, Stage stage, int code, std::string detail,
                              Option option = Option::none) const;

  Engine& engine_;
  Credits& credits_;
  ReaderOptions options_;
  SizeGuess guess_;
  std::vector<std::unique_ptr<Attempt>> attempts_;  // by slot
  std::vector<std::uint32_t> free_slots_;
  std::vector<Read*> waiting_;  // reads that found no slot, by sequence
  std::size_t in_flight_ = 0;   // attempts that have a slot
  std::size_t resting_ = 0;     // of them, those that wait to be opened again
  DepthLimit depth_limit_;
  std::uint64_t cancelled_before_ = 0;
};

class Reader::Read {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    handle_ = handle;
    reader_.start(asked_, *this);
  }
  Expected<Encoded> await_resume() noexcept { return std::move(result_); }

 private:
  friend class Reader;
  Read(Reader& reader, Clock::time_point asked, std::uint64_t sequence, std::uint64_t file,
       Buffer& buffer, bool to_end) noexcept
      : reader_(reader),
        asked_(asked),
        sequence_(sequence),
        file_(file),
        buffer_(buffer),
        to_end_(to_end) {}

  Reader& reader_;
  Clock::time_point asked_;
  std::uint64_t sequence_;
  std::uint64_t file_;
  Buffer& buffer_;
  bool to_end_;
  std::coroutine_handle<> handle_;
  Expected<Encoded> result_;
};

}  // namespace ringfeed::io
