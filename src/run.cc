// The consumer's side of an epoch: donate memory, wait, hand over.

#include <algorithm>
#include <stdexcept>
#include <string>

#include "pipeline.h"

namespace ringfeed::detail {

std::size_t batches_in(std::size_t samples, const LoaderOptions& options) {
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  return options.drop_last ? samples / batch_size : (samples + batch_size - 1) / batch_size;
}

Run::Run(std::shared_ptr<Pipeline> owner, std::uint64_t epoch, std::size_t first)
    : pipeline(std::move(owner)),
      order(pipeline->dataset.size(), pipeline->options.indices, pipeline->order_options(epoch)),
      key(data::make_key(pipeline->options.seed, epoch)),
      first_batch(std::min(first, batches_in(order.size(), pipeline->options))),
      end_batch(batches_in(order.size(), pipeline->options)),
      channel({order.size(), static_cast<std::size_t>(pipeline->options.batch_size), first_batch,
               end_batch, static_cast<std::size_t>(pipeline->options.prefetch_factor),
               pipeline->options.in_order}),
      next_sample(first_batch * static_cast<std::size_t>(pipeline->options.batch_size)) {}

std::size_t Run::end_sample() const noexcept {
  return std::min(order.size(), end_batch * static_cast<std::size_t>(pipeline->options.batch_size));
}

void Run::open_batches() {
  while (const auto number = channel.next_to_open()) {
    const std::size_t size = channel.batch_samples(*number);
    Batch batch;
    batch.index = static_cast<std::int64_t>(*number);
    batch.height = pipeline->plan.out_height();
    batch.width = pipeline->plan.out_width();
    batch.dtype = pipeline->plan.dtype;
    batch.layout = pipeline->plan.layout;
    batch.labels.resize(size);
    batch.positions.resize(size);
    batch.indices.resize(size);
    for (std::size_t i = 0; i < size; ++i) {
      const data::Sample sample =
          order[*number * static_cast<std::size_t>(pipeline->options.batch_size) + i];
      batch.indices[i] = sample.index;
      batch.positions[i] = sample.position;
      batch.labels[i] = pipeline->dataset.label(sample.index);
    }
    // The partial last batch too: a block of another size could not be reused.
    batch.memory = pipeline->options.allocator->allocate(
        static_cast<std::size_t>(pipeline->options.batch_size) * batch.sample_bytes());
    channel.open(std::move(batch));
    pipeline->notify();
  }
}

std::optional<Batch> Run::next() {
  if (pipeline->forked()) {
    throw std::logic_error(
        "ringfeed::Loader does not survive fork(): its threads exist in the parent only; make the "
        "loader in the process that uses it");
  }
  if (superseded_ && !channel.exhausted()) {
    throw std::logic_error(
        "another epoch of this loader has begun since: one is active at a time; finish an epoch "
        "before the next, or make a loader for each");
  }
  if (channel.exhausted()) return std::nullopt;
  if (channel.cancelled()) {
    pipeline->rethrow_if_broken();  // not a quiet end: the reader thread failed between two calls
    return std::nullopt;
  }
  const auto began = std::chrono::steady_clock::now();
  if (!begun_) {
    pipeline->begin(shared_from_this());
    begun_ = true;
  }
  open_batches();  // the first, or what the allocator refused the last time
  std::optional<std::chrono::steady_clock::time_point> deadline;
  if (pipeline->options.timeout.count() > 0) {
    deadline = began + std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                           pipeline->options.timeout);
  }
  auto delivery = channel.take(deadline);
  if (!delivery) {
    if (channel.cancelled()) {
      pipeline->rethrow_if_broken();
      return std::nullopt;
    }
    const auto outstanding = pipeline->outstanding();
    std::string files;
    if (outstanding) {
      for (const auto& line : *outstanding) files += "\n  " + line;
    }
    throw TimeoutError("no batch within the timeout; " +
                       (!outstanding     ? "the reading thread itself hangs in the file system"
                        : !files.empty() ? "reads outstanding:" + files
                                         : "no read is outstanding: decoding is slow"));
  }
  pipeline->delivered.record(std::chrono::steady_clock::now() - began,
                             delivery->batch.pixels().size(), delivery->error.has_value());
  try {
    open_batches();
  } catch (...) {
    // Not at the price of the batch in hand: the next call asks again, and throws.
  }
  if (channel.exhausted()) pipeline->clock.stop();
  if (delivery->error) throw LoadError(std::move(*delivery->error));
  return std::move(delivery->batch);
}

void Run::supersede() noexcept {
  superseded_ = true;
  channel.cancel();
}

void Run::abandon() noexcept {
  // The epoch may be the pipeline's last owner, and the decoders cannot be joined here.
  if (pipeline->forked()) return Pipeline::quarantine(pipeline);
  if (!begun_ || channel.exhausted() || channel.cancelled()) return;
  channel.cancel();
  pipeline->clock.stop();
  pipeline->notify();
}

}  // namespace ringfeed::detail
