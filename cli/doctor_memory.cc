#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/launched_ranks.h"
#include "doctor.h"
#include "output.h"
#include "pipeline/settings.h"
#include "ringfeed/dataset.h"
#include "ringfeed/transform.h"

namespace ringfeed::cli {
namespace {

std::string human(std::uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

/// What a loader of a large dataset makes of its defaults.
pipeline::Settings default_settings(const std::optional<pipeline::MemoryRoom>& room) {
  const std::vector<std::string> path{"0.jpg"};
  const std::vector<std::int64_t> label{0};
  LoaderOptions options;
  options.indices.emplace(static_cast<std::size_t>(options.batch_size), 0);
  return pipeline::resolve(options, {TransformPlan::imagenet_train()},
                           ImageFolder::from_samples("", {}, path, label), room);
}

constexpr const char* loader = "default loader";

Finding judge(const pipeline::Settings& settings, const std::optional<pipeline::MemoryRoom>& room) {
  Finding finding{loader, Severity::ok,
                  std::to_string(settings.batch_size) + " images of 224 x 224 a batch, " +
                      std::to_string(settings.prefetch_factor) + " ahead; " +
                      human(settings.read_ahead_bytes) + " of files ahead; " +
                      std::to_string(settings.num_workers) + " workers; at most " +
                      human(settings.memory_bound),
                  ""};
  if (room && settings.memory_bound > room->share) {
    finding.severity = Severity::warn;
    finding.advice =
        "that is more than is left: a few files that are large to decode may end the process; "
        "lower --workers, --batch-size or what the largest image may take (--max-pixels, "
        "--max-decoder-bytes), or give more memory";
  }
  return finding;
}

}  // namespace

Findings check_memory(const std::optional<pipeline::MemoryRoom>& room) {
  Finding memory{"memory", Severity::ok, "no limit is known", ""};
  if (room) {
    const system_limits::Memory& found = room->found;
    memory.value = std::string(found.of_cgroup ? "the container's" : "the machine's") + " limit " +
                   human(found.limit) + ", " + human(found.used) + " used, " + human(room->all) +
                   " left";
    if (const std::uint32_t ranks = ranks_on_this_host(); ranks > 1) {
      memory.value +=
          ", " + human(room->share) + " for each of " + std::to_string(ranks) + " ranks";
    }
  }
  try {
    return {memory, judge(default_settings(room), room)};
  } catch (const std::invalid_argument& error) {  // of $RINGFEED_ENTROPY or $RINGFEED_PIXELS
    return {memory, {loader, Severity::warn, error.what(), "no loader begins until it is mended"}};
  }
}

}  // namespace ringfeed::cli
