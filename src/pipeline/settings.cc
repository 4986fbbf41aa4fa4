#include "pipeline/settings.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "augment/augmenter.h"
#include "base/system_limits.h"
#include "batch/lay_out.h"
#include "decode/jpeg/pixels/backend.h"
#include "io/reader.h"
#include "sample/decode_pool.h"

namespace ringfeed::pipeline {
namespace {

// Frames, attempts, queue entries: about 1 KiB a sample under way, counted with some slack.
constexpr std::size_t bookkeeping_per_file = samples_per_slot * 1280;

// next() hands one batch over while the caller may still hold the one before.
constexpr std::size_t callers_batches = 2;

template <class T>
void require_range(Option option, T value, T least, T most, const char* zero = "") {
  if (value >= least && value <= most) return;
  throw OptionError(
      "{} must be in [" + std::to_string(least) + ", " + std::to_string(most) + "]" + zero,
      {option});
}

void require_indices(const std::vector<std::uint32_t>& indices, std::size_t entries) {
  const auto beyond = std::ranges::find_if(indices, [&](auto index) { return index >= entries; });
  if (beyond == indices.end()) return;
  // C++ alone has this option.
  throw OptionError("indices holds " + std::to_string(*beyond) + ", but the dataset has " +
                        std::to_string(entries) + " entries",
                    {});
}

void validate(const LoaderOptions& options, const ImageFolder& dataset) {
  require_range(Option::batch_size, options.batch_size, 1, largest::batch_size);
  require_range(Option::num_workers, options.num_workers, 0, largest::num_workers,
                "; 0 takes the cores this process may use");
  require_range(Option::prefetch_factor, options.prefetch_factor, 0, largest::prefetch_factor,
                "; 0 chooses");
  if (options.world_size < 1) throw OptionError("{} must be at least 1", {Option::world_size});
  if (options.rank < 0 || options.rank >= options.world_size) {
    throw OptionError("{} must be in [0, {})", {Option::rank, Option::world_size});
  }
  require_range(Option::depth, options.depth, 0, largest::depth, "; 0 chooses");
  if (options.timeout.count() < 0) {
    throw OptionError("{} must not be negative; 0 waits for ever", {Option::timeout});
  }
  require_range(Option::retries, options.retries, 0, largest::retries);
  if (!(options.max_failures >= 0)) {  // NaN neither
    throw OptionError("{} must not be negative", {Option::max_failures});
  }
  if (options.on_error == OnError::raise && std::isfinite(options.max_failures)) {
    throw OptionError("{} limits what {} = skip or replace lets pass: give {} too",
                      {Option::max_failures, Option::on_error, Option::on_error});
  }
  const DecodeLimits& limits = options.limits;
  require_range<std::size_t>(Option::max_file_bytes, options.max_file_bytes, 1,
                             largest::max_file_bytes);
  require_range<std::uint64_t>(Option::max_pixels, limits.max_pixels, 1, largest::max_pixels);
  require_range(Option::max_scans, limits.max_scans, 1, largest::max_scans);
  require_range<std::size_t>(Option::max_decoder_bytes, limits.max_decoder_bytes, 1,
                             largest::max_decoder_bytes);
  require_range<std::size_t>(Option::max_canvas_bytes, limits.max_canvas_bytes, 1,
                             largest::max_canvas_bytes);
  if (options.indices) require_indices(*options.indices, dataset.size());
}

void validate(const std::vector<TransformPlan>& plans) {
  if (plans.empty() || plans.size() > largest::views) {
    throw std::invalid_argument("Loader: there must be 1 to " + std::to_string(largest::views) +
                                " plans, one for each view, not " + std::to_string(plans.size()));
  }
  for (const TransformPlan& plan : plans) plan.validate();
}

std::size_t choose_depth(int asked, int workers) {
  // 320 files a worker hide 200 ms a file at 1,600 images a second.
  const int depth = asked > 0 ? asked : std::clamp(320 * workers, 64, 1024);
  return system_limits::depth_limit(static_cast<std::uint32_t>(depth));
}

std::size_t batch_bytes(const Settings& settings, const std::vector<TransformPlan>& plans) {
  return batch::bytes_of(batch::lay_out(plans, settings.batch_room), settings.batch_room);
}

/// All of the memory bound but read_ahead_bytes.
std::size_t fixed_bytes(const Settings& settings, const std::vector<TransformPlan>& plans,
                        const ImageFolder& dataset) {
  const std::size_t order =
      (settings.indices ? 3 * settings.indices->size() : 2 * dataset.size()) *
      sizeof(std::uint32_t);  // of the epoch that ends and the one that begins
  return io::Reader::reserve_bytes(settings.max_file_bytes) +
         (settings.prefetch_factor + callers_batches) *
             settings.allocator->footprint(batch_bytes(settings, plans)) +
         sample::DecodePool::memory_bound(settings.num_workers, plans, settings.limits) +
         dataset.memory_bytes() + order + settings.depth * bookkeeping_per_file;
}

void refuse_memory_limit(std::size_t limit, std::size_t needed,
                         const std::vector<TransformPlan>& plans, bool read_ahead_asked) {
  std::vector<Option> lower;
  if (read_ahead_asked) lower.push_back(Option::read_ahead_bytes);
  if (std::ranges::any_of(plans, augment::Augmenter::has_canvases_of_any_size)) {
    lower.push_back(Option::max_canvas_bytes);
  }
  const auto resizes = [](const TransformPlan& plan) {  // with tables for the largest image
    return !std::holds_alternative<WholeImage>(plan.geometry);
  };
  if (std::ranges::any_of(plans, resizes)) lower.push_back(Option::max_pixels);
  lower.insert(lower.end(), {Option::num_workers, Option::batch_size, Option::prefetch_factor,
                             Option::max_file_bytes, Option::max_decoder_bytes});
  std::string names = "{}";
  for (std::size_t i = 1; i < lower.size(); ++i) names += i + 1 < lower.size() ? ", {}" : " or {}";
  const std::string views =
      plans.size() > 1 ? " for " + std::to_string(plans.size()) + " views of an image" : "";
  lower.insert(lower.begin(), Option::memory_limit);
  throw OptionError("{} = " + std::to_string(limit) +
                        " is too small: these options need at least " + std::to_string(needed) +
                        " bytes" + views + "; lower " + names,
                    std::move(lower));
}

/// The read-ahead that is chosen where memory does not matter.
std::size_t wanted_read_ahead(const Settings& settings, bool depth_asked) {
  const std::size_t of_files = settings.depth * bytes_per_file;
  if (depth_asked) return of_files;
  const std::size_t of_workers = static_cast<std::size_t>(settings.num_workers) * bytes_per_worker;
  return std::min(of_files, std::max(of_workers, bytes_of_few_workers));
}

/// Chooses read_ahead_bytes, `wanted` at most, where `asked` is 0, and sets the memory bound.
void divide_memory(Settings& settings, std::size_t asked, std::size_t wanted, std::size_t limit,
                   std::size_t fixed, const std::vector<TransformPlan>& plans,
                   const std::optional<MemoryRoom>& room) {
  // One guess at a time is slow but moves; half of read_ahead_bytes is the largest guess.
  constexpr std::size_t least = 2 * bytes_per_file;
  if (asked != 0) {
    require_range(Option::read_ahead_bytes, asked, least, largest::read_ahead_bytes, "; 0 chooses");
  }
  settings.read_ahead_bytes = asked;
  if (asked == 0) {
    settings.read_ahead_bytes = std::max(least, wanted);
    if (limit == 0) {
      settings.read_ahead_bytes = choose_read_ahead(settings.read_ahead_bytes, least, room);
    } else {
      const std::size_t left = limit > fixed ? limit - fixed : 0;
      settings.read_ahead_bytes = std::clamp(left, least, settings.read_ahead_bytes);
    }
  }
  settings.memory_bound = fixed + settings.read_ahead_bytes;
  if (limit != 0 && limit < settings.memory_bound) {
    refuse_memory_limit(limit, settings.memory_bound, plans, asked != 0);
  }
}

}  // namespace

Settings resolve(LoaderOptions options, const std::vector<TransformPlan>& plans,
                 const ImageFolder& dataset, const std::optional<MemoryRoom>& room) {
  validate(options, dataset);
  validate(plans);
  static_cast<void>(decode::pixel_choice());  // throws where $RINGFEED_ENTROPY or _PIXELS is wrong
  const int workers = options.num_workers > 0 ? options.num_workers : usable_cores();
  Settings settings{
      .batch_size = static_cast<std::size_t>(options.batch_size),
      .batch_room = 0,  // follows from the rest
      .num_workers = workers,
      .prefetch_factor = static_cast<std::size_t>(options.prefetch_factor),
      .shuffle = options.shuffle,
      .drop_last = options.drop_last,
      .in_order = options.in_order,
      .seed = options.seed,
      .rank = options.rank,
      .world_size = options.world_size,
      .uneven = options.uneven,
      .indices = std::move(options.indices),
      .reader = options.reader,
      .read_ahead_bytes = 0,  // it and the bound follow from the rest
      .max_file_bytes = options.max_file_bytes,
      .depth = choose_depth(options.depth, workers),
      .memory_bound = 0,
      .timeout = options.timeout.count() > 0 ? std::optional(options.timeout) : std::nullopt,
      .while_waiting = std::move(options.while_waiting),
      .on_error = options.on_error,
      .max_failures = options.max_failures,
      .retries = options.retries,
      .limits = options.limits,
      .allocator = std::move(options.allocator),
      .asks_for_room = false,
  };
  const std::size_t total = settings.indices ? settings.indices->size() : dataset.size();
  const std::size_t share = data::EpochOrder::share(total, order_options(settings, 0));
  settings.batch_room = std::min(settings.batch_size, std::max(share, std::size_t{1}));
  if (settings.prefetch_factor == 0) {
    settings.prefetch_factor = choose_prefetch(batch_bytes(settings, plans),
                                               options.memory_limit == 0 ? room : std::nullopt);
  }
  if (settings.allocator == nullptr) {
    settings.asks_for_room = options.memory_limit == 0;
    settings.allocator = make_huge_page_allocator(settings.prefetch_factor + callers_batches);
  }
  divide_memory(settings, options.read_ahead_bytes, wanted_read_ahead(settings, options.depth > 0),
                options.memory_limit, fixed_bytes(settings, plans, dataset), plans, room);
  return settings;
}

data::OrderOptions order_options(const Settings& settings, std::uint64_t epoch,
                                 std::uint64_t start) noexcept {
  return {settings.seed,   epoch, settings.shuffle, settings.rank, settings.world_size,
          settings.uneven, start};
}

}  // namespace ringfeed::pipeline
