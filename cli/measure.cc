#include "measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "checksum.h"

namespace ringfeed::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint64_t planned_images(const Loader& loader, const LoadGoal& goal) {
  std::uint64_t images = loader.samples_per_epoch() * goal.epochs;
  if (goal.max_images > 0) images = std::min(images, goal.max_images);
  if (goal.max_batches > 0) {
    const double per_batch =
        static_cast<double>(loader.samples_per_epoch()) /
        static_cast<double>(std::max<std::size_t>(1, loader.batches_per_epoch()));
    images = std::min(
        images, static_cast<std::uint64_t>(per_batch * static_cast<double>(goal.max_batches)));
  }
  return images;
}

std::string progress_line(const LoadRun& run, const LoadGoal& goal, std::uint64_t planned,
                          double seconds, const Stats& stats) {
  const double rate = per_second(static_cast<double>(run.images), seconds);
  std::string line = human_count(run.images) + " images  " + fixed(rate, 0) + " images/s";
  if (goal.epochs > 1) {
    line =
        "epoch " + std::to_string(run.epochs + 1) + "/" + std::to_string(goal.epochs) + "  " + line;
  }
  if (planned > run.images && rate > 0) {
    const auto left = static_cast<int>(static_cast<double>(planned - run.images) / rate);
    line += "  " + std::to_string(left / 60) + " min " + std::to_string(left % 60) + " s left";
  }
  return line + "  " + to_string(stats.verdict()) + "  " + std::to_string(stats.files_in_flight) +
         " files in flight";
}

bool reached(const LoadRun& run, const LoadGoal& goal, double seconds) {
  return (goal.max_batches > 0 && run.batches >= goal.max_batches) ||
         (goal.max_images > 0 && run.images >= goal.max_images) ||
         (goal.max_seconds > 0 && seconds >= goal.max_seconds);
}

}  // namespace

double process_cpu_seconds() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

LoadRun run_loader(Loader& loader, const LoadGoal& goal, Interrupt& interrupt) {
  const Interrupt::Guard guard(interrupt, [&loader] { loader.stop(); });
  Progress progress;
  const std::uint64_t planned = planned_images(loader, goal);
  LoadRun run;
  const double cpu_start = process_cpu_seconds();
  const auto start = Clock::now();

  const auto consume = [&](Epoch& epoch, std::uint64_t number) {
    while (NextBatch next = epoch.try_next()) {
      if (next.error) {
        run.errors.push_back(std::move(*next.error));
        if (!goal.keep_going) return false;
        continue;
      }
      if (run.batches++ == 0) run.first_batch_seconds = seconds_since(start);
      run.images += next.batch->size();
      if (goal.checksum) run.checksum += batch_checksum(*next.batch, number, goal.positions);
      const double seconds = seconds_since(start);
      if (progress.due()) {
        progress.show(progress_line(run, goal, planned, seconds, loader.stats()));
      }
      if (reached(run, goal, seconds)) return false;
    }
    if (interrupt.requested()) return false;
    ++run.epochs;
    return true;
  };
  try {
    bool more = true;
    for (std::uint64_t number = 0; more && number < goal.epochs; ++number) {
      Epoch epoch = loader.epoch(number);
      more = consume(epoch, number);
      Failures failures = epoch.failures();
      if (failures.count > 0) run.failures.push_back({number, std::move(failures)});
    }
  } catch (const LoadError& error) {
    run.errors.push_back(error.error());
  } catch (const TimeoutError& error) {
    run.errors.push_back({Stage::read, 0, "", error.what()});
  }

  run.seconds = seconds_since(start);
  run.cpu_seconds = process_cpu_seconds() - cpu_start;
  run.stats = loader.stats();
  run.interrupted = interrupt.requested();
  return run;
}

Json to_json(const StageStats& stage) {
  return {{"count", stage.count},   {"failed", stage.failed},
          {"bytes", stage.bytes},   {"busy_seconds", stage.busy_seconds},
          {"p50_us", stage.p50_us}, {"p90_us", stage.p90_us},
          {"p99_us", stage.p99_us}, {"max_us", stage.max_us}};
}

Table stage_table(const Stats& stats) {
  Table table;
  table.row({"stage", "count", "failed", "bytes", "busy s", "p50", "p90", "p99", "max"});
  const auto add = [&table](const char* name, const StageStats& stage) {
    table.row({name, human_count(stage.count), human_count(stage.failed),
               human_bytes(static_cast<double>(stage.bytes)), fixed(stage.busy_seconds, 2),
               human_micros(stage.p50_us), human_micros(stage.p90_us), human_micros(stage.p99_us),
               human_micros(stage.max_us)});
  };
  add("read", stats.read);
  add("decode", stats.decode);
  add("deliver", stats.deliver);
  return table;
}

}  // namespace ringfeed::cli
