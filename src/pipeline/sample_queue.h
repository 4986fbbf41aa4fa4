#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "batch/channel.h"
#include "data/epoch_order.h"

namespace ringfeed::pipeline {

/// A batch between the order and the channel.
struct PlannedBatch {
  std::size_t in_channel = 0;  ///< counted in the order of opening: Cell::batch
  std::uint64_t number = 0;    ///< in the order: Batch::number
  std::vector<data::Sample> samples;
};

/// The batches to be loaded, on their way from the consumer to the reader thread.
class SampleQueue {
 public:
  struct Next {
    data::Sample sample;
    batch::Cell cell;
  };

  // Consumer thread.

  /// True: the reader thread has run dry and wants to know.
  bool push(std::shared_ptr<const PlannedBatch> batch) {
    const MutexLock lock(mutex_);
    pushed_.push_back(std::move(batch));
    return std::exchange(reader_waits_, false);
  }
  /// None will follow. Returns what push() does.
  bool close() noexcept {
    const MutexLock lock(mutex_);
    closed_ = true;
    return std::exchange(reader_waits_, false);
  }

  // Reader thread.

  /// Whether pop() has a sample.
  bool ready() {
    if (batch_ < taken_.size()) return true;
    taken_.clear();
    batch_ = 0;
    const MutexLock lock(mutex_);
    taken_.swap(pushed_);
    reader_waits_ = taken_.empty();
    return !reader_waits_;
  }
  /// The next sample in order.
  Next pop() noexcept {
    const PlannedBatch& batch = *taken_[batch_];
    const Next next{batch.samples[sample_], {batch.in_channel, sample_}};
    if (++sample_ == batch.samples.size()) {
      taken_[batch_++].reset();
      sample_ = 0;
    }
    return next;
  }
  bool closed() noexcept {
    const MutexLock lock(mutex_);
    return closed_;
  }

 private:
  Mutex mutex_;
  std::vector<std::shared_ptr<const PlannedBatch>> pushed_ GUARDED_BY(mutex_);
  bool closed_ GUARDED_BY(mutex_) = false;
  bool reader_waits_ GUARDED_BY(mutex_) = false;

  // Reader thread.
  std::vector<std::shared_ptr<const PlannedBatch>> taken_;
  std::size_t batch_ = 0;   // in taken_
  std::size_t sample_ = 0;  // in that batch
};

}  // namespace ringfeed::pipeline
