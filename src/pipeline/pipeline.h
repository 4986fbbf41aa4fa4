#pragma once

#include <sys/types.h>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "coro/frame_pool.h"
#include "coro/inbox.h"
#include "coro/scope.h"
#include "io/credits.h"
#include "io/reader.h"
#include "pipeline/read_ahead_window.h"
#include "pipeline/recorder.h"
#include "pipeline/sample_queue.h"
#include "pipeline/sequence_tracker.h"
#include "pipeline/settings.h"
#include "sample/decode_pool.h"

namespace ringfeed::pipeline {

class EpochRun;

/// What all epochs of a loader share: the threads, the memory, the counts.
class Pipeline {
 public:
  Pipeline(ImageFolder folder, TransformPlan transform, Settings resolved);
  ~Pipeline();

  /// Starts the threads on the first call and makes `run` the current epoch. Consumer thread.
  void begin(std::shared_ptr<EpochRun> run);

  // Any thread.
  void stop();
  Stats stats() const;
  /// The files being read, oldest first; nothing where the reader thread does not answer.
  std::optional<std::vector<std::string>> outstanding();
  void rethrow_if_broken() const;
  /// A batch was opened or a run abandoned: the reader thread looks.
  void notify() noexcept { inbox_.notify(); }
  /// In a forked child none of the threads exist, and any lock may be held for ever.
  bool forked() const noexcept;
  /// Sets aside, for ever, what a hung file system or a fork keeps from being freed.
  static void quarantine(std::shared_ptr<Pipeline> pipeline);
  bool hung() const noexcept { return hung_; }

  const ImageFolder dataset;
  const TransformPlan plan;
  const Settings settings;
  StageRecorder delivered;
  RunClock clock;

 private:
  struct Ticket;
  friend struct coro::Task::promise_type;
  coro::FramePool& frames() noexcept { return frames_; }
  static coro::Task load_sample(Pipeline& self, std::shared_ptr<EpochRun> run,
                                SampleQueue::Next next, Ticket ticket);
  tl::expected<void, decode::Failure> decode(sample::Worker& worker, const EpochRun& run,
                                             const data::Sample& sample,
                                             std::span<const std::byte> encoded, std::byte* out);
  auto on_reader_thread() noexcept;

  void start();
  void reader_main(std::promise<void>& started);
  void make_engine();
  void note_engine();
  void loop();
  bool watch_window();
  bool spawn_samples();
  void update_gauges();

  std::atomic<pid_t> pid_{0};  // of the process that started the threads

  std::mutex stop_mutex_;
  std::atomic<bool> stopping_{false};  // set once; the inbox's lock publishes it
  std::atomic<bool> hung_{false};
  std::thread reader_thread_;
  std::future<void> reader_done_;

  // Made and used by the reader thread; others reach the engine through the inbox alone.
  std::unique_ptr<io::Engine> engine_;
  std::unique_ptr<io::Credits> credits_;
  std::unique_ptr<io::Reader> reader_;
  std::optional<ReadAheadWindow> window_;
  io::Reader::Clock::time_point now_;  // of this turn of the loop
  bool reads_out_ = false;             // when it was last noted, as is:
  ReadAheadWindow::Clock::duration idle_noted_{0};
  std::unique_ptr<sample::DecodePool> decoders_;
  coro::FramePool frames_;
  coro::Inbox inbox_;
  coro::Scope scope_;
  SequenceTracker sequences_;
  std::vector<std::shared_ptr<EpochRun>> runs_;  // the current one last; earlier ones drain
  std::vector<std::coroutine_handle<>> finished_;
  std::vector<std::function<void()>> calls_;
  std::vector<io::Engine::Completion> completions_;
  std::size_t noted_ = 0;  // length of the engine's note when it was last copied

  // For stats(): relaxed gauges, and what start() sets before any other thread may ask.
  StageRecorder read_, decoded_;
  std::atomic<std::uint64_t> in_flight_{0}, encoded_ready_{0}, read_ahead_peak_{0}, guess_{0};
  mutable std::mutex current_mutex_;  // guards the next seven
  std::weak_ptr<EpochRun> current_;
  std::exception_ptr broken_;  // what ended the reader thread
  bool started_ = false;
  std::string reader_name_, refused_, reader_note_;
  int depth_ = 0;
};

}  // namespace ringfeed::pipeline
