#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>

#include "batch/channel.h"
#include "data/batch_order.h"
#include "data/random.h"
#include "pipeline/progress_tracker.h"
#include "pipeline/sample_queue.h"
#include "ringfeed/loader.h"

namespace ringfeed::pipeline {

class Pipeline;

/// One epoch under way: its order and its channel. Shared by the consumer, the reader thread and
/// every sample that has not finished.
class EpochRun : public std::enable_shared_from_this<EpochRun> {
 public:
  /// `batches` of `order` to be delivered, if known.
  EpochRun(std::shared_ptr<Pipeline> pipeline, std::uint64_t epoch, data::BatchOrder order,
           std::optional<std::size_t> batches, const Progress& start);

  // Consumer thread.
  NextBatch next();  // of Epoch::try_next()
  void abandon() noexcept;
  void supersede() noexcept;
  Progress progress() const { return progress_.progress(); }

  const std::shared_ptr<Pipeline> pipeline;
  const data::Key key;
  const std::optional<std::size_t> batches;
  batch::Channel channel;
  SampleQueue queue;

 private:
  bool pull();
  void enqueue(std::uint64_t index, std::vector<data::Sample> samples);
  bool open();
  void fill();
  NextBatch end();
  std::optional<batch::Channel::Delivery> take(std::chrono::steady_clock::time_point began);
  [[noreturn]] void time_out();

  // Consumer thread.
  data::BatchOrder order_;  // empty once it has ended
  std::exception_ptr order_failure_;
  ProgressTracker progress_;
  std::deque<std::shared_ptr<const PlannedBatch>> planned_;  // announced, not open
  std::size_t planned_samples_ = 0;
  std::size_t queued_ = 0;  // batches
  bool begun_ = false;
  bool superseded_ = false;
};

}  // namespace ringfeed::pipeline
