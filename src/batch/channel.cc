#include "batch/channel.h"

#include <algorithm>

namespace ringfeed::batch {
namespace {

constexpr auto later = [](const auto& a, const auto& b) { return a.cell > b.cell; };

}  // namespace

bool Channel::has_room() const noexcept { return opened() < oldest_ + batches_.size(); }

void Channel::open(Batch batch) {
  const std::size_t number = opened();
  const std::size_t at = ring_index_of(number);
  {
    const MutexLock lock(mutex_);
    fillings_[at].remaining = batch.size();
  }
  batches_[at] = std::move(batch);
  opened_.store(number + 1, std::memory_order_release);
}

std::optional<std::size_t> Channel::deliverable() noexcept {
  const std::size_t opened = opened_.load(std::memory_order_relaxed);
  const std::size_t end = in_order_ ? std::min(oldest_ + 1, opened) : opened;
  for (std::size_t number = oldest_; number < end; ++number) {
    if (fillings_[ring_index_of(number)].ready) return number;
  }
  return std::nullopt;
}

std::optional<Channel::Delivery> Channel::take(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  std::optional<std::size_t> number;
  Filling done;
  {
    MutexLock lock(mutex_);
    bool late = false;
    while (!cancelled() && !exhausted() && !(number = deliverable()) && !late) {
      if (deadline) {
        late = changed_.wait_until(lock, *deadline) == std::cv_status::timeout;
      } else {
        changed_.wait(lock);
      }
    }
    if (!number) return std::nullopt;
    done = std::exchange(fillings_[ring_index_of(*number)], {});
    ++next_in_turn_;
  }
  std::ranges::sort(done.failed, {}, &FailedRow::row);
  Delivery delivery{std::exchange(batches_[ring_index_of(*number)], {}), std::move(done.failed)};
  ++delivered_;
  taken_[ring_index_of(*number)] = true;
  while (taken_[ring_index_of(oldest_)]) taken_[ring_index_of(oldest_++)] = false;
  return delivery;
}

void Channel::cancel(std::exception_ptr failure) noexcept {
  {
    const MutexLock lock(mutex_);
    if (failure) failure_ = std::move(failure);
    cancelled_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

void Channel::rethrow_failure() const {
  const MutexLock lock(mutex_);
  if (failure_) std::rethrow_exception(failure_);
}

std::size_t Channel::ready() const noexcept {
  const MutexLock lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count(fillings_, true, &Filling::ready));
}

bool Channel::batch_waits() const noexcept {
  const MutexLock lock(mutex_);
  return in_order_ ? fillings_[ring_index_of(next_in_turn_)].ready
                   : std::ranges::any_of(fillings_, &Filling::ready);
}

void Channel::free_batches() {
  {
    MutexLock lock(mutex_);
    while (cells_out_ > 0) changed_.wait(lock);
  }
  for (Batch& batch : batches_) batch = {};
}

void Channel::finish(std::size_t ring_index) noexcept {
  {
    const MutexLock lock(mutex_);
    --cells_out_;
    Filling& batch = fillings_[ring_index];
    if (--batch.remaining == 0) batch.ready = true;
    if (!batch.ready && cells_out_ > 0) return;
  }
  changed_.notify_one();
}

void Channel::finish(std::size_t ring_index, FailedRow failed) {
  {
    const MutexLock lock(mutex_);
    fillings_[ring_index].failed.push_back(std::move(failed));
  }
  finish(ring_index);
}

void Channel::drop() noexcept {
  {
    const MutexLock lock(mutex_);
    if (--cells_out_ > 0) return;
  }
  changed_.notify_one();
}

Channel::AwaitCell Channel::await_cell(Cell cell) noexcept { return {*this, cell}; }

bool Channel::is_open(Cell cell) const noexcept {
  return cancelled() || cell.batch < opened_.load(std::memory_order_acquire);
}

Channel::OpenCell Channel::open_cell(Cell cell) noexcept {
  const MutexLock lock(mutex_);  // none is handed out once free_batches() has seen none out
  if (cancelled()) return {};
  ++cells_out_;
  return {this, ring_index_of(cell.batch), cell.row};
}

void Channel::AwaitCell::await_suspend(std::coroutine_handle<> handle) {
  channel_.waiting_.push_back({cell_, handle});
  std::ranges::push_heap(channel_.waiting_, later);
}

void Channel::resume_cells() {
  while (!waiting_.empty() && is_open(waiting_.front().cell)) {
    std::ranges::pop_heap(waiting_, later);
    const auto handle = waiting_.back().handle;
    waiting_.pop_back();
    handle.resume();
  }
}

}  // namespace ringfeed::batch
