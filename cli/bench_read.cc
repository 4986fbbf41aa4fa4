#include <algorithm>
#include <chrono>
#include <optional>

#include "data/index.h"
#include "io/open_engine.h"
#include "measure.h"
#include "stage_bench.h"

namespace ringfeed::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t first_buffer = std::size_t{128} << 10;
constexpr std::size_t largest_file = std::size_t{64} << 20;
constexpr std::size_t errors_kept = 10;

/// A file in flight.
struct Flight {
  std::uint32_t entry = 0;
  std::string path;
  std::vector<std::byte> buffer;
  std::size_t filled = 0;
  Clock::time_point start;
};

class ReadRun {
 public:
  ReadRun(const ImageFolder& dataset, io::Engine& engine, ReadBench& bench, const FileSink& sink)
      : dataset_(dataset), engine_(engine), bench_(bench), sink_(sink), flights_(engine.slots()) {
    for (std::uint32_t slot = 0; slot < engine.slots(); ++slot) {
      idle_.push_back(slot);
      flights_[slot].buffer.resize(first_buffer);  // page faults now, not on the clock
    }
  }

  bool room() const { return !idle_.empty(); }
  bool busy() const { return idle_.size() < flights_.size(); }
  bool sated() const { return sated_; }

  void start(std::uint32_t entry) {
    if (const char* why = dataset_.index().why_not_openable(entry)) {
      return fail(Stage::open, 0, entry, why);
    }
    const std::uint32_t slot = idle_.back();
    idle_.pop_back();
    Flight& flight = flights_[slot];
    flight.entry = entry;
    flight.filled = 0;
    dataset_.index().relative_path(entry, flight.path);
    flight.start = Clock::now();
    engine_.open_and_read(slot, flight.path.c_str(), flight.buffer, 0);
  }

  void complete(const io::Engine::Completion& completion) {
    Flight& flight = flights_[completion.slot];
    if (completion.result < 0) {
      const Stage stage = completion.step == io::Engine::Step::open ? Stage::open : Stage::read;
      fail(stage, -completion.result, flight.entry, "");
    } else {
      flight.filled += static_cast<std::size_t>(completion.result);
      if (flight.filled == flight.buffer.size()) {
        if (flight.buffer.size() < largest_file) return read_on(completion.slot);
        fail(Stage::read, 0, flight.entry, "larger than 64 MiB");
      } else {
        finish(flight);
      }
    }
    engine_.release(completion.slot);
    idle_.push_back(completion.slot);
  }

  void quantiles() {
    std::sort(micros_.begin(), micros_.end());
    if (micros_.empty()) return;
    const auto at = [this](double q) {
      return micros_[static_cast<std::size_t>(q * static_cast<double>(micros_.size() - 1))];
    };
    bench_.p50_us = at(0.5);
    bench_.p90_us = at(0.9);
    bench_.p99_us = at(0.99);
    bench_.max_us = micros_.back();
  }

 private:
  void read_on(std::uint32_t slot) {
    Flight& flight = flights_[slot];
    flight.buffer.resize(2 * flight.buffer.size());
    engine_.read_more(slot, std::span(flight.buffer).subspan(flight.filled), flight.filled);
  }

  void finish(const Flight& flight) {
    ++bench_.files;
    bench_.bytes += flight.filled;
    micros_.push_back(
        std::chrono::duration<double, std::micro>(Clock::now() - flight.start).count());
    if (sink_ && !sated_) sated_ = !sink_(std::span(flight.buffer).first(flight.filled));
  }

  void fail(Stage stage, int code, std::uint32_t entry, std::string detail) {
    ++bench_.failed;
    if (bench_.errors.size() >= errors_kept) return;
    bench_.errors.push_back({stage, code, dataset_.path(entry), std::move(detail)});
  }

  const ImageFolder& dataset_;
  io::Engine& engine_;
  ReadBench& bench_;
  const FileSink& sink_;
  std::vector<Flight> flights_;
  std::vector<std::uint32_t> idle_;
  std::vector<double> micros_;
  bool sated_ = false;
};

}  // namespace

ReadBench bench_read(const ImageFolder& dataset, std::span<const std::uint32_t> entries,
                     ReaderKind kind, std::uint32_t depth, const BenchLimits& limits,
                     Interrupt& interrupt, const FileSink& sink) {
  ReadBench bench;
  const auto [engine, note] = io::open_engine(kind, {.slots = depth, .root = dataset.root()});
  bench.note = note;
  if (!engine->note().empty()) bench.note += (bench.note.empty() ? "" : "; ") + engine->note();
  bench.reader = engine->name();
  bench.depth = engine->slots();
  if (limits.images > 0 && entries.size() > limits.images) entries = entries.first(limits.images);

  const Interrupt::Guard guard(interrupt, [&wakes = *engine] { wakes.wake(); });
  Progress progress;
  ReadRun run(dataset, *engine, bench, sink);
  std::vector<io::Engine::Completion> completions;
  const double cpu_start = process_cpu_seconds();
  const auto start = Clock::now();
  const auto elapsed = [start] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  for (std::size_t next = 0;;) {
    const bool enough =
        interrupt.requested() || run.sated() || (limits.seconds > 0 && elapsed() >= limits.seconds);
    while (!enough && next < entries.size() && run.room()) run.start(entries[next++]);
    if (!run.busy()) break;
    completions.clear();
    engine->poll(io::Engine::for_ever, completions);
    for (const auto& completion : completions) run.complete(completion);
    if (progress.due()) {
      progress.show("reading  " + human_count(bench.files) + " files  " +
                    fixed(per_second(static_cast<double>(bench.files), elapsed()), 0) + " files/s");
    }
  }
  bench.seconds = elapsed();
  bench.cpu_seconds = process_cpu_seconds() - cpu_start;
  run.quantiles();
  return bench;
}

}  // namespace ringfeed::cli
