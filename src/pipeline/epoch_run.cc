// The consumer's side of an epoch: pull the order, give memory, wait, hand over.

#include "pipeline/epoch_run.h"

#include <algorithm>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/printable.h"
#include "batch/lay_out.h"

namespace ringfeed::pipeline {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds waiting_slice{100};  // between calls of while_waiting

}  // namespace

EpochRun::EpochRun(Parts parts, std::uint64_t epoch, data::BatchOrder order,
                   std::optional<std::size_t> batch_count, const Progress& start)
    : batches(batch_count),
      parts_(std::move(parts)),
      link_(std::make_shared<EpochLink>(parts_.settings, epoch)),
      channel_(link_->channel),
      order_(std::move(order)),
      progress_(start, parts_.settings.prefetch_factor),
      failed_(parts_.settings, parts_.dataset, parts_.published,
              data::EpochOrder::share(
                  parts_.settings.indices ? parts_.settings.indices->size() : parts_.dataset.size(),
                  order_options(parts_.settings, epoch)),
              start.failed) {}

std::size_t EpochRun::most_under_way() const noexcept {
  return parts_.settings.depth * samples_per_slot;
}

/// Batches that may be queued beyond those taken: few at first, since some callers take one batch
/// and leave, and twice as many with each that is taken.
std::size_t EpochRun::ahead() const noexcept {
  const std::size_t prefetch = parts_.settings.prefetch_factor;
  const auto doublings = std::min<std::size_t>(channel_.delivered(), 24);  // more than any window
  return std::min(prefetch << doublings, prefetch + most_under_way());
}

/// Queues the order's next batch or its end, if the window has room: ahead() batches beyond those
/// taken and, beyond the open ones, as many samples as may be under way at once, but one batch at
/// least. False: nothing queued.
bool EpochRun::pull() {
  if (!order_ || queued_ - channel_.delivered() >= ahead() || planned_samples_ >= most_under_way())
    return false;
  try {
    while (auto batch = order_()) {
      if (const auto number = progress_.pulled(batch->end)) {
        enqueue(*number, std::move(batch->samples));
        return true;
      }
    }
  } catch (...) {
    order_failure_ = std::current_exception();  // thrown at its turn, after the batches before it
  }
  order_ = nullptr;
  channel_.close(queued_);
  if (link_->queue.close()) parts_.notify();
  return true;
}

void EpochRun::enqueue(std::uint64_t number, std::vector<data::Sample> samples) {
  const std::size_t size = samples.size();
  planned_.push_back(
      std::make_shared<const PlannedBatch>(PlannedBatch{queued_, number, std::move(samples)}));
  try {
    if (link_->queue.push(planned_.back())) parts_.notify();
  } catch (...) {
    planned_.pop_back();
    throw;
  }
  planned_samples_ += size;
  ++queued_;
}

/// Gives memory to the oldest batch without, if the channel has room for it. Until the first has
/// been taken it is the only one, where no other could be taken before it: for a caller who leaves
/// with that one, more would be for nothing.
bool EpochRun::open() {
  const bool only_first = parts_.settings.in_order && channel_.delivered() == 0;
  if (planned_.empty() || !channel_.has_room() || (only_first && channel_.opened() > 0)) {
    return false;
  }
  const PlannedBatch& planned = *planned_.front();
  const std::size_t size = planned.samples.size();
  Batch batch;
  batch.number = static_cast<std::int64_t>(planned.number);
  batch.views = batch::lay_out(parts_.plans, size);
  batch.labels.reserve(size);
  batch.positions.reserve(size);
  batch.indices.reserve(size);
  for (const data::Sample& sample : planned.samples) {
    batch.labels.push_back(parts_.dataset.label(sample.entry));
    batch.positions.push_back(sample.position);
    batch.indices.push_back(sample.entry);
  }
  // A batch that is a little smaller gets the full size too: a block of another size could not be
  // reused. One of less than half would keep twice what it holds.
  const std::size_t full = parts_.settings.batch_room;
  const std::size_t room = size > full / 2 ? std::max(size, full) : size;
  const std::size_t bytes = batch::bytes_of(batch::lay_out(parts_.plans, room), room);
  require_room(bytes);
  batch.memory = parts_.settings.allocator->allocate(bytes);
  channel_.open(std::move(batch));
  planned_samples_ -= size;
  planned_.pop_front();
  return true;
}

/// Throws OutOfMemory where the batch to be opened, of `bytes`, will not fit beside those before
/// it. The first prefetch_factor + 1 are there at once, while the first is being handed over; later
/// ones lie where an earlier one has been.
void EpochRun::require_room(std::size_t bytes) {
  constexpr std::size_t always_there = std::size_t{64} << 20;  // which needs no question
  const std::size_t most = parts_.settings.prefetch_factor + 1;
  const std::size_t opened = channel_.opened();
  if (!parts_.settings.asks_for_room || opened >= most) return;
  const std::size_t block = parts_.settings.allocator->footprint(bytes);
  if (most * block <= always_there) return;
  if (opened == 0) room_ = parts_.memory_room();
  if (room_) pipeline::require_room(opened + 1, block, *room_);
}

/// Opens and pulls what the windows have room for, by turns: what has been pulled is on its way
/// while a slow source thinks. Throws what the allocator throws.
void EpochRun::fill() {
  for (;;) {
    const bool opened = open();
    if (opened) parts_.notify();
    if (!pull() && !opened) return;
  }
}

NextBatch EpochRun::end() {
  if (order_failure_) std::rethrow_exception(std::exchange(order_failure_, nullptr));
  return {};
}

NextBatch EpochRun::next() {
  if (link_->superseded && !channel_.exhausted()) {
    throw std::logic_error(
        "another epoch of this loader has begun since: one is active at a time; finish an epoch "
        "before the next, or make a loader for each");
  }
  if (channel_.exhausted()) return end();
  if (channel_.cancelled()) {
    channel_.rethrow_failure();  // not a quiet end: the reader thread failed between two calls
    return {};
  }
  const auto began = Clock::now();
  if (!begun_) {
    if (queued_ == 0) pull();
    if (channel_.exhausted()) return end();  // an empty epoch starts nothing
    parts_.begin(link_);
    begun_ = true;
  }
  fill();  // the first, or what the allocator refused the last time
  if (channel_.exhausted()) {
    parts_.published.run_clock.stop();
    return end();
  }
  auto delivery = take(began);
  if (!delivery) {
    channel_.rethrow_failure();
    return {};
  }
  Batch& batch = delivery->batch;
  progress_.delivered(static_cast<std::uint64_t>(batch.number));
  NextBatch next;
  next.error = failed_.settle(batch, std::move(delivery->failed));
  parts_.published.delivered.record(
      Clock::now() - began, batch::bytes_of(batch.views, batch.size()), next.error.has_value());
  if (!next.error) next.batch = std::move(batch);
  try {
    fill();
  } catch (...) {
    // Not at the price of the batch in hand: the next call asks again, and throws.
  }
  if (channel_.exhausted()) parts_.published.run_clock.stop();
  return next;
}

/// The batch whose turn it is; nothing once cancelled.
std::optional<batch::Channel::Delivery> EpochRun::take(Clock::time_point began) {
  const Settings& settings = parts_.settings;
  std::optional<Clock::time_point> deadline;
  if (settings.timeout) deadline = began + *settings.timeout;
  for (;;) {
    auto until = deadline;
    if (settings.while_waiting) {
      const auto slice = Clock::now() + waiting_slice;
      until = deadline ? std::min(*deadline, slice) : slice;
    }
    auto delivery = channel_.take(until);
    if (delivery || channel_.cancelled()) return delivery;
    if (deadline && Clock::now() >= *deadline) time_out();
    settings.while_waiting();
  }
}

void EpochRun::time_out() {
  const auto outstanding = parts_.outstanding();
  std::string files;
  if (outstanding) {
    for (const auto& line : *outstanding) files += "\n  " + line;
  }
  const std::string root = printable(parts_.dataset.root());
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%g",
                std::chrono::duration<double>(*parts_.settings.timeout).count());
  throw TimeoutError("no batch within the timeout of " + std::string(seconds) + " s; " +
                     (!outstanding    ? "the reading thread itself hangs in the file system"
                      : files.empty() ? "no read is outstanding: decoding is slow"
                      : root.empty()  ? "reads outstanding:" + files
                                      : "reads outstanding in " + root + ":" + files));
}

Progress EpochRun::progress() const {
  Progress progress = progress_.progress();
  progress.failed = failed_.progress();
  return progress;
}

void EpochRun::abandon() noexcept {
  if (!begun_ || channel_.exhausted() || channel_.cancelled()) return;
  channel_.cancel();
  parts_.published.run_clock.stop();
  parts_.notify();
}

}  // namespace ringfeed::pipeline
