#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "batch/channel.h"
#include "data/batch_order.h"
#include "pipeline/epoch_link.h"
#include "pipeline/failure_record.h"
#include "pipeline/progress_tracker.h"
#include "pipeline/published.h"
#include "pipeline/settings.h"

namespace ringfeed::pipeline {

/// The consumer's side of an epoch under way: its order, and its batches. Consumer thread.
class EpochRun {
 public:
  /// What it has of its loader. All of it outlives the EpochRun.
  struct Parts {
    const ImageFolder& dataset;
    const std::vector<TransformPlan>& plans;
    const Settings& settings;
    Published& published;
    /// Starts the threads if need be, and makes this epoch the current one.
    std::function<void(std::shared_ptr<EpochLink>)> begin;
    std::function<void()> notify;  ///< the reader thread looks for what has changed
    /// The files being read, oldest first; nothing where the reader thread does not answer.
    std::function<std::optional<std::vector<std::string>>()> outstanding;
    std::function<std::optional<MemoryRoom>()> memory_room;
  };

  /// `batches` of `order` to be delivered, if known.
  EpochRun(Parts parts, std::uint64_t epoch, data::BatchOrder order,
           std::optional<std::size_t> batches, const Progress& start);

  NextBatch next();  // of Epoch::try_next()
  void abandon() noexcept;
  Progress progress() const;
  Failures failures() const { return failed_.failures(); }  // any thread

  const std::optional<std::size_t> batches;

 private:
  std::size_t most_under_way() const noexcept;  // samples
  std::size_t ahead() const noexcept;
  bool pull();
  void enqueue(std::uint64_t number, std::vector<data::Sample> samples);
  bool open();
  void require_room(std::size_t bytes);
  void fill();
  NextBatch end();
  std::optional<batch::Channel::Delivery> take(std::chrono::steady_clock::time_point began);
  [[noreturn]] void time_out();

  const Parts parts_;
  const std::shared_ptr<EpochLink> link_;
  batch::Channel& channel_;  // the link's
  data::BatchOrder order_;   // empty once it has ended
  std::exception_ptr order_failure_;
  ProgressTracker progress_;
  FailureRecord failed_;
  std::deque<std::shared_ptr<const PlannedBatch>> planned_;  // queued, not open
  std::size_t planned_samples_ = 0;
  std::size_t queued_ = 0;  // batches
  std::optional<MemoryRoom> room_;
  bool begun_ = false;
};

}  // namespace ringfeed::pipeline
