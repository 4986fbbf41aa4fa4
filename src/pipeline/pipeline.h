#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "coro/inbox.h"
#include "pipeline/epoch_link.h"
#include "pipeline/epoch_run.h"
#include "pipeline/published.h"
#include "pipeline/reader_thread.h"
#include "pipeline/settings.h"
#include "sample/decode_pool.h"

namespace ringfeed::pipeline {

/// What all epochs of a loader share: the threads, the memory, the counts.
class Pipeline {
 public:
  Pipeline(ImageFolder folder, std::vector<TransformPlan> transforms, Settings resolved);
  ~Pipeline();

  /// For an epoch of this loader. Consumer thread.
  EpochRun::Parts epoch_parts();

  // Any thread.
  void stop();
  Stats stats() const;
  /// In a forked child none of the threads exist, and any lock may be held for ever.
  bool forked() const noexcept;
  /// Sets aside what a hung file system or a fork keeps from being freed: until the reads have been
  /// answered, if they ever are; after a fork for ever.
  static void quarantine(std::shared_ptr<Pipeline> pipeline) noexcept;
  bool hung() const noexcept { return hung_; }

  const ImageFolder dataset;
  const std::vector<TransformPlan> plans;  ///< one for each view
  const Settings settings;

 private:
  void begin(const std::shared_ptr<EpochLink>& epoch);
  void start() REQUIRES(stop_mutex_);
  bool reader_main(std::promise<void>& started);
  std::shared_ptr<Pipeline> end_of_reader();
  std::optional<std::vector<std::string>> outstanding();

  std::atomic<pid_t> pid_{0};  // of the process that started the threads

  Mutex stop_mutex_;  // threads are started or stopped, one at a time
  std::thread thread_ GUARDED_BY(stop_mutex_);
  std::future<void> thread_done_ GUARDED_BY(stop_mutex_);
  std::atomic<bool> stopping_{false};  // set once, before a notification that orders it
  std::atomic<bool> hung_{false};
  Mutex end_mutex_;
  bool reader_has_ended_ GUARDED_BY(end_mutex_) = false;
  std::shared_ptr<Pipeline> itself_ GUARDED_BY(end_mutex_);  // once it is set aside
  std::shared_ptr<Pipeline> itself_in_child_;                // the same after a fork
  struct SetAside;
  SetAside* const set_aside_;                     // its entry in the list of those, made beforehand
  std::unique_ptr<sample::DecodePool> decoders_;  // made before the reader thread, and `started_`

  // Made by the reader thread, which alone uses them; others post to the inbox. On the heap, so
  // that they can be set aside.
  std::unique_ptr<io::Engine> engine_;
  std::unique_ptr<ReaderThread> reader_thread_;
  coro::Inbox inbox_;

  // For stats().
  Published published_;
  mutable Mutex current_mutex_;
  std::weak_ptr<EpochLink> current_ GUARDED_BY(current_mutex_);
  std::exception_ptr broken_ GUARDED_BY(current_mutex_);  // what ended the reader thread
  bool started_ GUARDED_BY(current_mutex_) = false;
  std::string engine_name_ GUARDED_BY(current_mutex_);
  std::string ring_refused_ GUARDED_BY(current_mutex_);
  int depth_ GUARDED_BY(current_mutex_) = 0;
};

}  // namespace ringfeed::pipeline
