#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "coro/inbox.h"
#include "pipeline/epoch_link.h"
#include "pipeline/published.h"
#include "pipeline/reader_thread.h"
#include "pipeline/recorder.h"
#include "pipeline/settings.h"
#include "sample/decode_pool.h"

namespace ringfeed::pipeline {

/// What all epochs of a loader share: the threads, the memory, the counts.
class Pipeline {
 public:
  Pipeline(ImageFolder folder, TransformPlan transform, Settings resolved);
  ~Pipeline();

  /// Starts the threads on the first call and makes `epoch` the current one. Consumer thread.
  void begin(std::shared_ptr<EpochLink> epoch);

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
  void start();
  void reader_main(std::promise<void>& started);

  std::atomic<pid_t> pid_{0};  // of the process that started the threads

  std::mutex stop_mutex_;
  std::atomic<bool> stopping_{false};  // set once
  std::atomic<bool> hung_{false};
  std::thread reader_thread_;
  std::future<void> reader_done_;
  std::unique_ptr<sample::DecodePool> decoders_;

  // Made by the reader thread, which alone uses them; others post to the inbox. On the heap, so
  // that they can be set aside.
  std::unique_ptr<io::Engine> engine_;
  std::unique_ptr<ReaderThread> reader_;
  coro::Inbox inbox_;

  // For stats().
  Published published_;
  mutable std::mutex current_mutex_;  // guards the next six
  std::weak_ptr<EpochLink> current_;
  std::exception_ptr broken_;  // what ended the reader thread
  bool started_ = false;
  std::string reader_name_, refused_;
  int depth_ = 0;
};

}  // namespace ringfeed::pipeline
