#pragma once

#include <atomic>
#include <chrono>
#include <compare>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "ringfeed/batch.h"
#include "ringfeed/failure.h"

namespace ringfeed::batch {

/// Where a sample goes. Batches are numbered from 0 in the order in which they are opened.
struct Cell {
  std::size_t batch = 0;
  std::size_t row = 0;  ///< in the batch

  auto operator<=>(const Cell&) const = default;
};

/// A row whose own entry failed: the entries tried, in their order. What came in their place, if
/// anything did, is the substitute of each.
struct FailedRow {
  std::size_t row = 0;
  std::vector<Failure> failures;

  std::optional<std::uint32_t> substitute() const noexcept { return failures.front().substitute; }
};

/// The bounded channel from decoders to consumer, one an epoch. Its capacity is counted in batches,
/// of any size each, and credits travel back as opened batches: a sample waits for its cell until
/// the consumer has given its batch memory, and the window never slides more than `capacity`
/// batches past the oldest undelivered one.
class Channel {
 public:
  /// `capacity`: batches open or ready at once.
  Channel(std::size_t capacity, bool in_order)
      : in_order_(in_order), batches_(capacity), fillings_(capacity) {}

  // Consumer thread.

  /// Whether the window has room for one batch more.
  bool has_room() const noexcept;
  /// Opens the next batch, where there is room. `batch` has memory, labels, positions and indices.
  void open(Batch batch);
  /// `batches` are all: where the end is known only when it comes.
  void close(std::size_t batches) noexcept { end_ = batches; }

  struct Delivery {
    Batch batch;
    std::vector<FailedRow> failed;  ///< ascending by row
  };
  /// Waits for the batch whose turn it is. Nothing at the end, after cancel(), or at `deadline`
  /// (then exhausted() and cancelled() are false).
  std::optional<Delivery> take(std::optional<std::chrono::steady_clock::time_point> deadline);
  bool exhausted() const noexcept { return end_ == delivered_; }
  // Only this thread stores it.
  std::size_t opened() const noexcept { return opened_.load(std::memory_order_relaxed); }
  std::size_t delivered() const noexcept { return delivered_; }
  /// After cancel(): gives the undelivered batches' memory back, once no decoder writes to it.
  void free_batches();

  // Any thread.

  /// Nothing more is delivered; samples waiting for a cell get none. `failure` is why, if it is
  /// more than a stop.
  void cancel(std::exception_ptr failure = nullptr) noexcept;
  bool cancelled() const noexcept { return cancelled_.load(std::memory_order_relaxed); }
  /// Throws what cancel() was given.
  void rethrow_failure() const;
  std::size_t ready() const noexcept;
  /// Whether take() would give a batch at once.
  bool batch_waits() const noexcept;

  /// A sample's cell, to be filled; keeps its batch's memory from being freed. Decoders write the
  /// row of each view and then call finish(), once; dropped without either, the cell can
  /// be had again.
  class OpenCell {
   public:
    OpenCell() = default;
    OpenCell(OpenCell&& other) noexcept
        : channel_(std::exchange(other.channel_, nullptr)),
          ring_index_(other.ring_index_),
          row_(other.row_) {}
    OpenCell& operator=(OpenCell&&) = delete;
    ~OpenCell() {
      if (channel_ != nullptr) channel_->drop();
    }
    explicit operator bool() const noexcept { return channel_ != nullptr; }
    /// The batch and its row that are this sample's.
    const Batch& batch() const noexcept { return channel_->batches_[ring_index_]; }
    std::size_t row() const noexcept { return row_; }
    void finish() noexcept { std::exchange(channel_, nullptr)->finish(ring_index_); }
    /// After `failures` the row is made of the substitute that they name; without one it is not.
    void finish(std::vector<Failure> failures) {
      if (failures.empty()) return finish();
      std::exchange(channel_, nullptr)->finish(ring_index_, {row_, std::move(failures)});
    }

   private:
    friend class Channel;
    OpenCell(Channel* channel, std::size_t ring_index, std::size_t row) noexcept
        : channel_(channel), ring_index_(ring_index), row_(row) {}
    Channel* channel_ = nullptr;
    std::size_t ring_index_ = 0;
    std::size_t row_ = 0;
  };

  // Reader thread.

  class AwaitCell;
  /// Awaitable: `cell` once its batch is open; none after cancel(). The lowest is resumed first.
  AwaitCell await_cell(Cell cell) noexcept;
  /// Resumes the samples whose batch has been opened since.
  void resume_cells();
  std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  struct Waiting {
    Cell cell;
    std::coroutine_handle<> handle;
  };

  /// How far a batch has been filled; it is ready when every sample is in.
  struct Filling {
    std::size_t remaining = 0;
    std::vector<FailedRow> failed;
    bool ready = false;
  };

  std::size_t ring_index_of(std::size_t number) const noexcept { return number % batches_.size(); }
  bool is_open(Cell cell) const noexcept;
  OpenCell open_cell(Cell cell) noexcept;
  void finish(std::size_t ring_index) noexcept;
  void finish(std::size_t ring_index, FailedRow failed);
  void drop() noexcept;
  std::optional<std::size_t> deliverable() noexcept REQUIRES(mutex_);

  const bool in_order_;
  // A ring: batch b is at b % size. It belongs to the consumer but for the pixels, which decoders
  // write while the batch is open.
  std::vector<Batch> batches_;
  // Batches below this are open. The consumer's release store publishes the batch it has just set
  // up; the reader thread's acquire load in is_open() pairs with it.
  std::atomic<std::size_t> opened_{0};
  std::atomic<bool> cancelled_{false};  // a hint to stop early: orders nothing
  std::vector<Waiting> waiting_;        // reader thread; heap, lowest cell at the front

  // Consumer thread.
  std::vector<bool> taken_ = std::vector<bool>(batches_.size());  // as batches_
  std::size_t oldest_ = 0;                                        // undelivered
  std::size_t delivered_ = 0;
  std::optional<std::size_t> end_;

  mutable Mutex mutex_;
  std::vector<Filling> fillings_ GUARDED_BY(mutex_);  // as batches_
  std::size_t cells_out_ GUARDED_BY(mutex_) = 0;
  std::size_t next_in_turn_ GUARDED_BY(mutex_) = 0;  // in order: the batch that take() waits for
  std::exception_ptr failure_ GUARDED_BY(mutex_);
  ConditionVariable changed_;
};

class Channel::AwaitCell {
 public:
  bool await_ready() const noexcept { return channel_.is_open(cell_); }
  void await_suspend(std::coroutine_handle<> handle);
  OpenCell await_resume() const noexcept { return channel_.open_cell(cell_); }

 private:
  friend class Channel;
  AwaitCell(Channel& channel, Cell cell) noexcept : channel_(channel), cell_(cell) {}
  Channel& channel_;
  Cell cell_;
};

}  // namespace ringfeed::batch
