#include "batch/channel.h"

#include <algorithm>

namespace ringfeed::batch {
namespace {

constexpr auto later = [](const auto& a, const auto& b) { return a.cell > b.cell; };

}  // namespace

bool Channel::has_room() const noexcept {
  // Only this thread stores it.
  return opened_.load(std::memory_order_relaxed) < oldest_ + ring_.size();
}

void Channel::open(Batch batch) {
  const std::size_t number = opened_.load(std::memory_order_relaxed);
  OpenBatch& open = at(number);
  {
    std::lock_guard lock(mutex_);  // ready() looks at every batch of the ring
    open.failures.clear();
    open.ready = false;
    open.remaining = batch.size();
    open.batch = std::move(batch);
  }
  opened_.store(number + 1, std::memory_order_release);
}

std::optional<std::size_t> Channel::deliverable() noexcept {
  const std::size_t opened = opened_.load(std::memory_order_relaxed);
  const std::size_t end = in_order_ ? std::min(oldest_ + 1, opened) : opened;
  for (std::size_t number = oldest_; number < end; ++number) {
    if (at(number).ready) return number;
  }
  return std::nullopt;
}

std::optional<Channel::Delivery> Channel::take(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  std::optional<std::size_t> number;
  Delivery delivery;
  {
    std::unique_lock lock(mutex_);
    const auto turn = [&] { return cancelled() || exhausted() || (number = deliverable()); };
    if (!deadline) {
      changed_.wait(lock, turn);
    } else if (!changed_.wait_until(lock, *deadline, turn)) {
      return std::nullopt;
    }
    if (cancelled() || exhausted()) return std::nullopt;
    OpenBatch& open = at(*number);
    open.ready = false;
    delivery.batch = std::exchange(open.batch, {});
    if (const auto first =
            std::ranges::min_element(open.failures, {}, [](const auto& f) { return f.first; });
        first != open.failures.end()) {
      delivery.error = std::move(first->second);
    }
  }
  ++delivered_;
  taken_[*number % ring_.size()] = true;
  while (taken_[oldest_ % ring_.size()]) taken_[oldest_++ % ring_.size()] = false;
  return delivery;
}

void Channel::cancel() noexcept {
  {
    std::lock_guard lock(mutex_);
    cancelled_.store(true, std::memory_order_relaxed);
  }
  changed_.notify_all();
}

std::size_t Channel::ready() const noexcept {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count(ring_, true, &OpenBatch::ready));
}

void Channel::free_batches() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return cells_out_ == 0; });
  for (OpenBatch& open : ring_) open.batch = {};
}

void Channel::finish(OpenBatch& open) noexcept {
  {
    std::lock_guard lock(mutex_);
    --cells_out_;
    if (--open.remaining == 0) open.ready = true;
    if (!open.ready && cells_out_ > 0) return;
  }
  changed_.notify_one();
}

void Channel::fail(OpenBatch& open, std::size_t row, Error error) {
  {
    std::lock_guard lock(mutex_);
    open.failures.emplace_back(row, std::move(error));
  }
  finish(open);
}

void Channel::drop() noexcept {
  {
    std::lock_guard lock(mutex_);
    if (--cells_out_ > 0) return;
  }
  changed_.notify_one();
}

Channel::AwaitCell Channel::await_cell(Cell cell) noexcept { return {*this, cell}; }

bool Channel::is_open(Cell cell) const noexcept {
  return cancelled() || cell.batch < opened_.load(std::memory_order_acquire);
}

Channel::OpenCell Channel::open_cell(Cell cell) noexcept {
  std::lock_guard lock(mutex_);  // none is handed out once free_batches() has seen none out
  if (cancelled()) return {};
  ++cells_out_;
  return {this, &at(cell.batch), cell.row};
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
