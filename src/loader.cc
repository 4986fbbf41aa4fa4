#include "ringfeed/loader.h"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/system_limits.h"
#include "data/batch_order.h"
#include "data/index.h"
#include "io/reader.h"
#include "pipeline/epoch_run.h"
#include "pipeline/pipeline.h"
#include "sample/decode_pool.h"

namespace ringfeed {
namespace {

constexpr std::size_t bytes_per_file = std::size_t{128} << 10;
// Frames, attempts, queue entries: about 1 KiB a sample under way, counted with some slack.
constexpr std::size_t bookkeeping_per_file = pipeline::samples_per_slot * 1280;

// next() hands one batch over while the caller may still hold the one before.
constexpr int callers_batches = 2;

void require(bool condition, const std::string& what) {
  if (!condition) throw std::invalid_argument("LoaderOptions: " + what);
}

/// Batches that `samples` make under drop_last.
std::size_t batches_in(std::size_t samples, const LoaderOptions& options) {
  const auto batch_size = static_cast<std::size_t>(options.batch_size);
  return options.drop_last ? samples / batch_size : (samples + batch_size - 1) / batch_size;
}

/// All of the bound but read_ahead_bytes.
std::size_t fixed_bytes(const LoaderOptions& options, const TransformPlan& plan,
                        const ImageFolder& dataset) {
  const std::size_t batch = static_cast<std::size_t>(options.batch_size) * plan.sample_bytes();
  const std::size_t order =
      (options.indices ? 3 * options.indices->size() : 2 * dataset.size()) *
      sizeof(std::uint32_t);  // of the epoch that ends and the one that begins
  return io::Reader::reserve_bytes(options.max_file_bytes) +
         static_cast<std::size_t>(options.prefetch_factor + callers_batches) *
             options.allocator->footprint(batch) +
         sample::DecodePool::memory_bound(options.num_workers, plan, options.limits) +
         dataset.memory_bytes() + order +
         static_cast<std::size_t>(options.depth) * bookkeeping_per_file;
}

void validate(const LoaderOptions& options) {
  require(options.batch_size >= 1 && options.batch_size <= 1 << 20,
          "batch_size must be in [1, 1048576]");
  require(options.num_workers >= 0 && options.num_workers <= 1024,
          "num_workers must be in [0, 1024]; 0 takes the cores this process may use");
  require(options.prefetch_factor >= 1 && options.prefetch_factor <= 1024,
          "prefetch_factor must be in [1, 1024]");
  require(options.world_size >= 1, "world_size must be at least 1");
  require(options.rank >= 0 && options.rank < options.world_size,
          "rank must be in [0, world_size)");
  require(options.max_file_bytes >= 1 && options.max_file_bytes <= std::size_t{1} << 31,
          "max_file_bytes must be in [1, 2 GiB]");
  require(options.depth >= 0 && options.depth <= 16384, "depth must be in [0, 16384]; 0 chooses");
  require(options.timeout.count() >= 0, "timeout must not be negative; 0 waits for ever");
}

/// Fills in the defaults and the bound.
std::size_t resolve(LoaderOptions& options, const TransformPlan& plan, const ImageFolder& dataset) {
  validate(options);
  plan.validate();
  if (options.indices) {
    for (const std::uint32_t index : *options.indices) {
      require(index < dataset.size(), "indices holds " + std::to_string(index) +
                                          ", but the dataset has " +
                                          std::to_string(dataset.size()) + " entries");
    }
  }
  if (options.num_workers == 0) options.num_workers = usable_cores();
  // 320 files a worker hide 200 ms a file at 1,600 images a second.
  const int depth =
      options.depth > 0 ? options.depth : std::clamp(320 * options.num_workers, 64, 1024);
  options.depth = static_cast<int>(system_limits::depth_limit(static_cast<std::uint32_t>(depth)));
  if (options.allocator == nullptr) {
    options.allocator = make_huge_page_allocator(
        static_cast<std::size_t>(options.prefetch_factor + callers_batches));
  }

  // One guess at a time is slow but moves; half of read_ahead_bytes is the largest guess.
  const std::size_t least = 2 * bytes_per_file;
  const std::size_t fixed = fixed_bytes(options, plan, dataset);
  if (options.read_ahead_bytes == 0) {
    options.read_ahead_bytes =
        std::max(least, static_cast<std::size_t>(options.depth) * bytes_per_file);
    if (options.memory_limit != 0 && options.memory_limit > fixed) {
      options.read_ahead_bytes =
          std::clamp(options.memory_limit - fixed, least, options.read_ahead_bytes);
    }
  }
  require(options.read_ahead_bytes >= least,
          "read_ahead_bytes must be at least " + std::to_string(least));
  const std::size_t bound = fixed + options.read_ahead_bytes;
  require(
      options.memory_limit == 0 || options.memory_limit >= bound,
      "memory_limit = " + std::to_string(options.memory_limit) +
          " is too small: these options need at least " + std::to_string(fixed + least) +
          " bytes; lower num_workers, batch_size or prefetch_factor (in C++ also max_file_bytes, "
          "read_ahead_bytes or limits.max_decoder_bytes)");
  return bound;
}

void check_start(const Progress& start) {
  if (std::ranges::adjacent_find(start.beyond, std::greater_equal<>()) != start.beyond.end()) {
    throw std::invalid_argument("Progress: beyond must be ascending");
  }
}

}  // namespace

int usable_cores() {
  return std::max(
      1, system_limits::usable_cores() / static_cast<int>(system_limits::local_world_size()));
}

Loader::Loader(ImageFolder dataset, TransformPlan plan, LoaderOptions options) {
  const std::size_t bound = resolve(options, plan, dataset);
  pipeline_ =
      std::make_shared<pipeline::Pipeline>(std::move(dataset), plan, std::move(options), bound);
}

Loader::Loader(Loader&&) noexcept = default;

Loader& Loader::operator=(Loader&& other) noexcept {
  std::swap(pipeline_, other.pipeline_);
  return *this;
}

Loader::~Loader() {
  if (pipeline_ == nullptr) return;
  if (!pipeline_->forked()) pipeline_->stop();
  if (pipeline_->forked() || pipeline_->hung())
    pipeline::Pipeline::quarantine(std::move(pipeline_));
}

Epoch Loader::epoch(std::uint64_t epoch, const Progress& start) {
  check_start(start);
  const LoaderOptions& options = pipeline_->options;
  data::EpochOrder order(pipeline_->dataset.size(), options.indices,
                         pipeline_->order_options(epoch, start.positions));
  const std::size_t batches = batches_in(order.size(), options);
  const auto taken = std::ranges::lower_bound(start.beyond, batches) - start.beyond.begin();
  return Epoch(std::make_shared<pipeline::EpochRun>(
      pipeline_, epoch,
      data::in_batches(std::move(order), static_cast<std::size_t>(options.batch_size),
                       options.drop_last),
      batches - static_cast<std::size_t>(taken), start));
}

Epoch Loader::epoch(std::uint64_t epoch, BatchSource source, const Progress& start) {
  check_start(start);
  if (!source) throw std::invalid_argument("Loader::epoch: the BatchSource is empty");
  return Epoch(std::make_shared<pipeline::EpochRun>(
      pipeline_, epoch,
      data::from_source(std::move(source), pipeline_->dataset.size(),
                        pipeline_->order_options(epoch, start.positions)),
      std::nullopt, start));
}

std::size_t Loader::samples_per_epoch() const noexcept {
  const auto& options = pipeline_->options;
  const std::size_t total = options.indices ? options.indices->size() : pipeline_->dataset.size();
  return data::EpochOrder::share(total, pipeline_->order_options(0));
}

std::size_t Loader::batches_per_epoch() const noexcept {
  return batches_in(samples_per_epoch(), pipeline_->options);
}

std::size_t Loader::memory_bound() const noexcept { return pipeline_->memory_bound(); }

Stats Loader::stats() const { return pipeline_->stats(); }

void Loader::stop() { pipeline_->stop(); }

Epoch::Epoch(std::shared_ptr<pipeline::EpochRun> run) : run_(std::move(run)) {}
Epoch::Epoch(Epoch&&) noexcept = default;

Epoch& Epoch::operator=(Epoch&& other) noexcept {
  std::swap(run_, other.run_);
  std::swap(current_, other.current_);
  return *this;
}

Epoch::~Epoch() {
  if (run_ != nullptr) run_->abandon();
}

NextBatch Epoch::try_next() { return run_->next(); }

std::optional<Batch> Epoch::next() {
  NextBatch next = try_next();
  if (next.error) throw LoadError(std::move(*next.error));
  return std::move(next.batch);
}

std::optional<std::size_t> Epoch::size() const noexcept { return run_->batches; }
Progress Epoch::progress() const { return run_->progress(); }

}  // namespace ringfeed
