#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coro/frame_pool.h"
#include "coro/inbox.h"
#include "coro/scope.h"
#include "io/credits.h"
#include "io/engine.h"
#include "io/reader.h"
#include "pipeline/epoch_link.h"
#include "pipeline/published.h"
#include "pipeline/read_ahead_window.h"
#include "pipeline/sequence_tracker.h"
#include "pipeline/ticket.h"
#include "sample/decoders.h"

namespace ringfeed::pipeline {

/// Reads the samples of a loader's epochs and sends each on to be decoded. Made, used and destroyed
/// on one thread, which calls turn() in a loop. Other threads post to the inbox what it is to do,
/// and read from Published what it does. turn() is told the time and asks for none.
class ReaderThread {
 public:
  using Clock = io::Engine::Clock;

  /// All of it outlives the ReaderThread.
  struct Parts {
    io::Engine& engine;
    coro::Inbox& inbox;  ///< its wake-up is the engine's
    sample::Decoders& decoders;
    const ImageFolder& dataset;
    const Settings& settings;
    Published& published;
    /// Once it is set and the inbox notified, nothing more is started and all that is under way is
    /// given up.
    const std::atomic<bool>& stopping;
  };

  explicit ReaderThread(const Parts& parts);
  ReaderThread(const ReaderThread&) = delete;
  ReaderThread& operator=(const ReaderThread&) = delete;

  /// Takes what has come, starts what there is room for, and sleeps until there is more to do, in
  /// the engine. False: stopped, and nothing is under way any more. What it throws leaves reads
  /// under way, so that the object may not be destroyed.
  bool turn(Clock::time_point now);

  /// Loads this epoch's samples from now on; what reads an earlier one has out are given up.
  void begin(std::shared_ptr<EpochLink> epoch);
  /// The files being read, oldest first.
  std::vector<std::string> outstanding() const { return reader_.outstanding(now_); }
  /// Encoded bytes of all files that are being read or not yet decoded.
  std::size_t held_bytes() const noexcept { return credits_.in_use(); }

 private:
  friend struct coro::Task::promise_type;
  coro::FramePool& frames() noexcept { return frames_; }
  static coro::Task load_sample(ReaderThread& self, std::shared_ptr<EpochLink> epoch,
                                SampleQueue::Next next, Ticket ticket);

  io::ReaderOptions reader_options() const;
  void take_posts();
  bool watch_window();
  bool spawn_samples();
  std::size_t waiting() const noexcept;
  void set_idle_reason();
  sample::Decoders::Idle idle_reason();
  void give_up_abandoned();
  void close_files_at_rest();
  bool nothing_to_start();
  void publish();
  bool stopping() const noexcept { return parts_.stopping.load(std::memory_order_relaxed); }
  Clock::time_point wake_time(bool watching);

  const Parts parts_;
  io::Credits credits_;
  io::Reader reader_;
  ReadAheadWindow window_;
  coro::FramePool frames_;
  coro::Scope scope_;
  SequenceTracker sequences_;
  std::vector<std::shared_ptr<EpochLink>> epochs_;  // the current one last; earlier ones drain
  Clock::time_point now_;                           // of this turn
  bool gave_up_ = false;                            // on the current epoch, which was abandoned
  bool at_rest_ = false;                            // the epoch's files have all been read
  bool reading_last_turn_ = false;                  // a file was in flight when the last turn ended
  Clock::duration idle_noted_{0};                   // what the window has been told of
  std::size_t noted_ = 0;  // length of the engine's note when it was last published
  std::vector<io::Engine::Completion> completions_;
  std::vector<std::coroutine_handle<>> finished_;
  std::vector<std::function<void()>> calls_;
};

}  // namespace ringfeed::pipeline
