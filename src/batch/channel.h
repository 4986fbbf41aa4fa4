#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "ringfeed/batch.h"
#include "ringfeed/error.h"

namespace ringfeed::batch {

/// A batch being filled: opened with donated memory, complete when every sample is in.
struct OpenBatch {
  Batch batch;
  // Guarded by the channel's mutex:
  std::size_t remaining = 0;
  std::vector<std::pair<std::size_t, Error>> failures;
  bool ready = false;
};

struct ChannelOptions {
  std::size_t samples = 0;  ///< of the whole epoch
  std::size_t batch_size = 1;
  std::size_t first_batch = 0;
  std::size_t end_batch = 0;
  std::size_t capacity = 2;  ///< batches open or ready at once
  bool in_order = true;
};

/// The bounded channel from decoders to consumer, one an epoch. Its capacity is counted in batches
/// and credits travel back as opened batches: a sample waits for its place until the consumer has
/// donated memory for its batch, and the window never slides more than `capacity` batches past the
/// oldest undelivered one.
class Channel {
 public:
  explicit Channel(const ChannelOptions& options);

  // Consumer thread.

  /// The next batch to open, if the window has room for it.
  std::optional<std::size_t> next_to_open() const noexcept;
  /// Samples in batch `number`.
  std::size_t batch_samples(std::size_t number) const noexcept;
  /// Opens next_to_open(). `batch` has memory, labels, positions and indices set.
  void open(Batch batch);

  struct Delivery {
    Batch batch;
    std::optional<Error> error;  ///< of the first failed sample
  };
  /// Waits for the batch whose turn it is. Nothing at the end, after cancel(), or at `deadline`
  /// (then exhausted() and cancelled() are false).
  std::optional<Delivery> take(std::optional<std::chrono::steady_clock::time_point> deadline);
  bool exhausted() const noexcept { return delivered_ == end_batch() - options_.first_batch; }
  /// After cancel(): gives the undelivered batches' memory back, once no decoder writes to it.
  void free_batches();

  // Any thread.

  /// Nothing more is delivered; samples waiting for a place get none.
  void cancel() noexcept;
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  std::size_t ready() const noexcept;

  /// A sample's place; keeps its batch's memory from being freed. Decoders write to pixels() and
  /// then call finish() or fail(), once; dropped without either, the place can be had again.
  class Slot {
   public:
    Slot() = default;
    Slot(Slot&& other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)),
          open_(other.open_),
          index_(other.index_) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (channel_ != nullptr) channel_->drop();
    }
    explicit operator bool() const noexcept { return channel_ != nullptr; }
    std::byte* pixels() const noexcept {
      return open_->batch.memory.data + index_ * open_->batch.sample_bytes();
    }
    void finish() noexcept { std::exchange(channel_, nullptr)->finish(*open_); }
    void fail(Error error) {
      std::exchange(channel_, nullptr)->fail(*open_, index_, std::move(error));
    }

   private:
    friend class Channel;
    Slot(Channel* channel, OpenBatch* open, std::size_t index) noexcept
        : channel_(channel), open_(open), index_(index) {}
    Channel* channel_ = nullptr;
    OpenBatch* open_ = nullptr;
    std::size_t index_ = 0;
  };

  // Reader thread.

  class Place;
  /// Awaitable: the place of the epoch's `sample`-th sample once its batch is open; no place after
  /// cancel(). Lower samples are resumed first.
  Place place(std::size_t sample) noexcept;
  /// Resumes the samples whose batch has been opened since.
  void resume_placed();
  std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  struct Waiting {
    std::size_t sample;
    std::coroutine_handle<> handle;
  };

  std::size_t end_batch() const noexcept { return options_.end_batch; }
  OpenBatch& at(std::size_t number) noexcept { return ring_[number % ring_.size()]; }
  bool has_place(std::size_t sample) const noexcept;
  Slot slot(std::size_t sample) noexcept;
  void finish(OpenBatch& open) noexcept;
  void fail(OpenBatch& open, std::size_t index, Error error);
  void drop() noexcept;
  OpenBatch* deliverable() noexcept;

  ChannelOptions options_;
  std::vector<OpenBatch> ring_;  // batch b at b % size
  // Batches below this are open. The consumer's release store publishes the OpenBatch it has just
  // set up; the reader thread's acquire load in has_place() pairs with it.
  std::atomic<std::size_t> opened_;
  std::atomic<bool> cancelled_{false};  // a hint to stop early: orders nothing
  std::vector<Waiting> waiting_;        // reader thread; heap, lowest sample at the front

  // Consumer thread.
  std::vector<bool> taken_;  // of the window, likewise
  std::size_t oldest_;       // undelivered
  std::size_t delivered_ = 0;

  mutable std::mutex mutex_;
  std::size_t slots_out_ = 0;  // guarded by mutex_
  std::condition_variable changed_;
};

class Channel::Place {
 public:
  bool await_ready() const noexcept { return channel_.has_place(sample_); }
  void await_suspend(std::coroutine_handle<> handle);
  Slot await_resume() const noexcept { return channel_.slot(sample_); }

 private:
  friend class Channel;
  Place(Channel& channel, std::size_t sample) noexcept : channel_(channel), sample_(sample) {}
  Channel& channel_;
  std::size_t sample_;
};

}  // namespace ringfeed::batch
