#include "batch/channel.h"

#include <algorithm>

namespace ringfeed::batch {
namespace {

constexpr auto later = [](const auto& a, const auto& b) { return a.sample > b.sample; };

}  // namespace

Channel::Channel(const ChannelOptions& options)
    : options_(options),
      ring_(std::clamp<std::size_t>(options.end_batch - options.first_batch, 1, options.capacity)),
      opened_(options.first_batch),
      taken_(ring_.size(), false),
      oldest_(options.first_batch) {}

std::optional<std::size_t> Channel::next_to_open() const noexcept {
  const std::size_t next = opened_.load(std::memory_order_relaxed);  // only this thread stores it
  if (next == end_batch() || next == oldest_ + ring_.size()) return std::nullopt;
  return next;
}

std::size_t Channel::batch_samples(std::size_t number) const noexcept {
  return std::min(options_.batch_size, options_.samples - number * options_.batch_size);
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

OpenBatch* Channel::deliverable() noexcept {
  const std::size_t opened = opened_.load(std::memory_order_relaxed);
  const std::size_t end = options_.in_order ? std::min(oldest_ + 1, opened) : opened;
  for (std::size_t number = oldest_; number < end; ++number) {
    if (at(number).ready) return &at(number);
  }
  return nullptr;
}

std::optional<Channel::Delivery> Channel::take(
    std::optional<std::chrono::steady_clock::time_point> deadline) {
  OpenBatch* open = nullptr;
  Delivery delivery;
  {
    std::unique_lock lock(mutex_);
    const auto turn = [&] { return cancelled() || exhausted() || (open = deliverable()); };
    if (!deadline) {
      changed_.wait(lock, turn);
    } else if (!changed_.wait_until(lock, *deadline, turn)) {
      return std::nullopt;
    }
    if (cancelled() || exhausted()) return std::nullopt;
    open->ready = false;
    delivery.batch = std::exchange(open->batch, {});
    if (const auto first =
            std::ranges::min_element(open->failures, {}, [](const auto& f) { return f.first; });
        first != open->failures.end()) {
      delivery.error = std::move(first->second);
    }
  }
  ++delivered_;
  taken_[static_cast<std::size_t>(delivery.batch.index) % ring_.size()] = true;
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
  changed_.wait(lock, [&] { return slots_out_ == 0; });
  for (OpenBatch& open : ring_) open.batch = {};
}

void Channel::finish(OpenBatch& open) noexcept {
  {
    std::lock_guard lock(mutex_);
    --slots_out_;
    if (--open.remaining == 0) open.ready = true;
    if (!open.ready && slots_out_ > 0) return;
  }
  changed_.notify_one();
}

void Channel::fail(OpenBatch& open, std::size_t index, Error error) {
  {
    std::lock_guard lock(mutex_);
    open.failures.emplace_back(index, std::move(error));
  }
  finish(open);
}

void Channel::drop() noexcept {
  {
    std::lock_guard lock(mutex_);
    if (--slots_out_ > 0) return;
  }
  changed_.notify_one();
}

Channel::Place Channel::place(std::size_t sample) noexcept { return {*this, sample}; }

bool Channel::has_place(std::size_t sample) const noexcept {
  return cancelled() || sample / options_.batch_size < opened_.load(std::memory_order_acquire);
}

Channel::Slot Channel::slot(std::size_t sample) noexcept {
  std::lock_guard lock(mutex_);  // none is handed out once free_batches() has seen none out
  if (cancelled()) return {};
  ++slots_out_;
  return {this, &at(sample / options_.batch_size), sample % options_.batch_size};
}

void Channel::Place::await_suspend(std::coroutine_handle<> handle) {
  channel_.waiting_.push_back({sample_, handle});
  std::ranges::push_heap(channel_.waiting_, later);
}

void Channel::resume_placed() {
  while (!waiting_.empty() && has_place(waiting_.front().sample)) {
    std::ranges::pop_heap(waiting_, later);
    const auto handle = waiting_.back().handle;
    waiting_.pop_back();
    handle.resume();
  }
}

}  // namespace ringfeed::batch
