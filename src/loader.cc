#include "ringfeed/loader.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include "augment/noise.h"
#include "base/launched_ranks.h"
#include "base/system_limits.h"
#include "data/batch_order.h"
#include "pipeline/draws.h"
#include "pipeline/epoch_run.h"
#include "pipeline/pipeline.h"
#include "pipeline/settings.h"

namespace ringfeed {
namespace {

/// Batches that `samples` make.
std::size_t batches_in(std::size_t samples, const pipeline::Settings& settings) {
  const std::size_t size = settings.batch_size;
  return settings.drop_last ? samples / size : (samples + size - 1) / size;
}

void check_start(const Progress& start) {
  if (std::ranges::adjacent_find(start.beyond, std::greater_equal<>()) != start.beyond.end()) {
    throw std::invalid_argument("Progress: beyond must be ascending");
  }
}

}  // namespace

int usable_cores(int ranks) {
  const std::uint32_t sharers =
      ranks > 0 ? static_cast<std::uint32_t>(ranks) : ranks_on_this_host();
  return system_limits::cores_for_rank(system_limits::cpus(), sharers);
}

Loader::Loader(ImageFolder dataset, TransformPlan plan, LoaderOptions options)
    : Loader(std::move(dataset), std::vector{std::move(plan)}, std::move(options)) {}

Loader::Loader(ImageFolder dataset, std::vector<TransformPlan> plans, LoaderOptions options) {
  pipeline::Settings settings = pipeline::resolve(std::move(options), plans, dataset);
  pipeline_ = std::make_shared<pipeline::Pipeline>(std::move(dataset), std::move(plans),
                                                   std::move(settings));
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

Epoch Loader::epoch(std::uint64_t epoch, const Progress& start,
                    std::optional<std::uint64_t> order_of) {
  check_start(start);
  const pipeline::Settings& settings = pipeline_->settings;
  data::EpochOrder order(
      pipeline_->dataset.size(), settings.indices,
      pipeline::order_options(settings, order_of.value_or(epoch), start.positions));
  const std::size_t batches = batches_in(order.size(), settings);
  const auto taken = std::ranges::lower_bound(start.beyond, batches) - start.beyond.begin();
  return {pipeline_,
          std::make_unique<pipeline::EpochRun>(
              pipeline_->epoch_parts(), epoch,
              data::in_batches(std::move(order), settings.batch_size, settings.drop_last),
              batches - static_cast<std::size_t>(taken), start)};
}

Epoch Loader::epoch(std::uint64_t epoch, BatchSource source, const Progress& start) {
  check_start(start);
  if (!source) throw std::invalid_argument("Loader::epoch: the BatchSource is empty");
  return {pipeline_, std::make_unique<pipeline::EpochRun>(
                         pipeline_->epoch_parts(), epoch,
                         data::from_source(
                             std::move(source), pipeline_->dataset.size(),
                             pipeline::order_options(pipeline_->settings, epoch, start.positions)),
                         std::nullopt, start)};
}

std::vector<float> erasing_noise(const Draw& draw, std::size_t box, std::size_t count) {
  return augment::noise_of_box(draw.noise_key, static_cast<std::uint32_t>(box), count);
}

std::vector<Draw> Loader::draws(std::uint64_t epoch, std::optional<std::uint64_t> order_of,
                                const Failures& failed) const {
  const pipeline::Settings& settings = pipeline_->settings;
  const data::EpochOrder order(pipeline_->dataset.size(), settings.indices,
                               pipeline::order_options(settings, order_of.value_or(epoch)));
  const std::size_t views = pipeline_->plans.size();
  std::vector<Draw> draws(views *
                          std::min(order.size(), batches_per_epoch() * settings.batch_size));
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const data::Sample sample = order[i / views];
    draws[i].position = sample.position;
    draws[i].index = sample.entry;
  }
  pipeline::follow(failed, settings.on_error, draws);
  pipeline::draw(pipeline_->dataset, pipeline_->plans, settings, epoch, draws);
  return draws;
}

std::vector<Draw> Loader::draws(std::uint64_t epoch, std::span<const std::uint32_t> order,
                                const Failures& failed) const {
  const pipeline::Settings& settings = pipeline_->settings;
  const auto ranks = static_cast<std::uint64_t>(settings.world_size);
  const auto rank = static_cast<std::uint64_t>(settings.rank);
  const std::size_t entries = pipeline_->dataset.size();
  const std::size_t views = pipeline_->plans.size();
  std::vector<Draw> draws(views * order.size());
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const std::size_t k = i / views;
    if (order[k] >= entries) {
      throw std::invalid_argument("Loader::draws: order holds " + std::to_string(order[k]) +
                                  ", but the dataset has " + std::to_string(entries) + " entries");
    }
    draws[i].position = k * ranks + rank;
    draws[i].index = order[k];
  }
  pipeline::follow(failed, settings.on_error, draws);
  pipeline::draw(pipeline_->dataset, pipeline_->plans, settings, epoch, draws);
  return draws;
}

std::size_t Loader::samples_per_epoch() const noexcept {
  const pipeline::Settings& settings = pipeline_->settings;
  const std::size_t total = settings.indices ? settings.indices->size() : pipeline_->dataset.size();
  return data::EpochOrder::share(total, pipeline::order_options(settings, 0));
}

std::size_t Loader::batches_per_epoch() const noexcept {
  return batches_in(samples_per_epoch(), pipeline_->settings);
}

std::size_t Loader::memory_bound() const noexcept { return pipeline_->settings.memory_bound; }

Stats Loader::stats() const { return pipeline_->stats(); }

void Loader::stop() { pipeline_->stop(); }

Epoch::Epoch(std::shared_ptr<pipeline::Pipeline> pipeline, std::unique_ptr<pipeline::EpochRun> run)
    : pipeline_(std::move(pipeline)), run_(std::move(run)) {}
Epoch::Epoch(Epoch&&) noexcept = default;

Epoch& Epoch::operator=(Epoch&& other) noexcept {
  std::swap(pipeline_, other.pipeline_);
  std::swap(run_, other.run_);
  std::swap(current_, other.current_);
  return *this;
}

Epoch::~Epoch() {
  if (run_ == nullptr) return;
  if (pipeline_->forked()) {
    // The child's epoch may be the pipeline's last owner, and has no thread to join.
    pipeline::Pipeline::quarantine(std::move(pipeline_));
  } else {
    run_->abandon();
  }
}

NextBatch Epoch::try_next() {
  if (pipeline_->forked()) {
    throw std::logic_error(
        "ringfeed::Loader does not survive fork(): its threads exist in the parent only; make the "
        "loader in the process that uses it");
  }
  return run_->next();
}

std::optional<Batch> Epoch::next() {
  NextBatch next = try_next();
  if (next.error) throw LoadError(std::move(*next.error));
  return std::move(next.batch);
}

std::optional<std::size_t> Epoch::size() const noexcept { return run_->batches; }
Failures Epoch::failures() const { return run_->failures(); }
Progress Epoch::progress() const { return run_->progress(); }

}  // namespace ringfeed
