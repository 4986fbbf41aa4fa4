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
#include "pipeline/epoch_link.h"
#include "pipeline/progress_tracker.h"
#include "ringfeed/loader.h"

namespace ringfeed::pipeline {

class Pipeline;

/// The consumer's side of an epoch under way: its order, and its batches. Consumer thread.
class EpochRun {
 public:
  /// `batches` of `order` to be delivered, if known.
  EpochRun(std::shared_ptr<Pipeline> pipeline, std::uint64_t epoch, data::BatchOrder order,
           std::optional<std::size_t> batches, const Progress& start);

  NextBatch next();  // of Epoch::try_next()
  void abandon() noexcept;
  Progress progress() const { return progress_.progress(); }

  const std::optional<std::size_t> batches;

 private:
  bool pull();
  void enqueue(std::uint64_t index, std::vector<data::Sample> samples);
  bool open();
  void fill();
  NextBatch end();
  std::optional<batch::Channel::Delivery> take(std::chrono::steady_clock::time_point began);
  [[noreturn]] void time_out();

  const std::shared_ptr<Pipeline> pipeline_;
  const std::shared_ptr<EpochLink> link_;
  batch::Channel& channel_;  // the link's
  data::BatchOrder order_;   // empty once it has ended
  std::exception_ptr order_failure_;
  ProgressTracker progress_;
  std::deque<std::shared_ptr<const PlannedBatch>> planned_;  // announced, not open
  std::size_t planned_samples_ = 0;
  std::size_t queued_ = 0;  // batches
  bool begun_ = false;
};

}  // namespace ringfeed::pipeline
