#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "data/epoch_order.h"
#include "pipeline/memory_room.h"
#include "ringfeed/loader.h"

namespace ringfeed::pipeline {

/// Samples that may be under way, for each file in flight: the rest is read and waits.
constexpr std::size_t samples_per_slot = 8;

/// Encoded bytes read ahead, for each file in flight, where nothing else is asked for.
constexpr std::size_t bytes_per_file = std::size_t{128} << 10;

/// Where no depth is asked for either, so many a worker suffice: of one that decodes 50 MB a second
/// they hide 80 ms a file. For a few workers, so many together.
constexpr std::size_t bytes_per_worker = std::size_t{4} << 20;
constexpr std::size_t bytes_of_few_workers = std::size_t{32} << 20;

/// LoaderOptions after validation, with every choice made: no value here means "choose".
struct Settings {
  std::size_t batch_size;
  std::size_t batch_room;  ///< samples that a batch has memory for: batch_size, or all there are
  int num_workers;
  std::size_t prefetch_factor;
  bool shuffle;
  bool drop_last;
  bool in_order;
  std::uint64_t seed;
  int rank;
  int world_size;
  Uneven uneven;
  std::optional<std::vector<std::uint32_t>> indices;  ///< nothing: the whole dataset

  ReaderKind reader;  ///< automatic is left to the machine that the threads start on
  std::size_t read_ahead_bytes;
  std::size_t max_file_bytes;
  std::size_t depth;                                ///< files in flight
  std::size_t memory_bound;                         ///< Loader::memory_bound()
  std::optional<std::chrono::nanoseconds> timeout;  ///< nothing: wait for ever
  std::function<void()> while_waiting;              ///< may be empty
  OnError on_error;
  double max_failures;
  int retries;
  DecodeLimits limits;
  std::shared_ptr<BatchAllocator> allocator;  ///< never null
  /// Batches are this process's own memory, and the caller has not said how much there is.
  bool asks_for_room;
};

/// Throws OptionError for options that make no sense, stating the legal range, and
/// std::invalid_argument for such plans. Defaults that take memory follow `room`, unless there is a
/// memory_limit.
Settings resolve(LoaderOptions options, const std::vector<TransformPlan>& plans,
                 const ImageFolder& dataset, const std::optional<MemoryRoom>& room = memory_room());

data::OrderOptions order_options(const Settings& settings, std::uint64_t epoch,
                                 std::uint64_t start = 0) noexcept;

}  // namespace ringfeed::pipeline
