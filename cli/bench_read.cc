#include <algorithm>
#include <chrono>
#include <coroutine>
#include <functional>
#include <vector>

#include "coro/frame_pool.h"
#include "coro/inbox.h"
#include "coro/scope.h"
#include "coro/task.h"
#include "data/index.h"
#include "decode/file_format.h"
#include "decode/image_end.h"
#include "io/credits.h"
#include "io/open_engine.h"
#include "io/reader.h"
#include "measure.h"
#include "pipeline/sequence_tracker.h"
#include "pipeline/settings.h"
#include "stage_bench.h"

namespace ringfeed::cli {
namespace {

using Clock = io::Reader::Clock;

constexpr std::size_t errors_kept = 10;

/// The loader's reading alone: io::Reader with the loader's own bounds, and a coroutine a file that
/// looks at it and drops it.
class ReadRun {
 public:
  ReadRun(const ImageFolder& dataset, const pipeline::Settings& settings, io::Engine& engine,
          ReadBench& bench, const FileSink& sink)
      : dataset_(dataset),
        engine_(engine),
        bench_(bench),
        sink_(sink),
        credits_(settings.read_ahead_bytes, io::Reader::reserve_bytes(settings.max_file_bytes)),
        reader_(engine, credits_, reader_options(settings.max_file_bytes)) {}

  /// False: another file must wait for room.
  bool start(std::uint32_t entry, Clock::time_point now) {
    if (const char* why = dataset_.index().why_not_openable(entry)) {
      fail({Stage::open, 0, dataset_.path(entry), why});
      return true;
    }
    if (!reader_.can_start()) return false;
    io::Buffer buffer = credits_.try_acquire(reader_.guess());
    if (!buffer) return false;
    scope_.spawn(read(*this, now, entry, sequences_.begin(), std::move(buffer)));
    return true;
  }

  /// Ends what has finished and goes on with what waits for room.
  void serve(Clock::time_point now) {
    inbox_.take(finished_, calls_);
    for (const auto handle : finished_) scope_.collect(handle);
    reader_.serve(now, sequences_.oldest());
  }

  void wait() {
    completions_.clear();
    engine_.poll(inbox_.prepare_to_sleep(1) ? io::Engine::for_ever : io::Engine::at_once,
                 completions_);
    const auto now = Clock::now();
    for (const auto& completion : completions_) reader_.complete(now, completion);
  }

  bool busy() const { return scope_.size() > 0; }
  bool sated() const { return sated_; }

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
  friend struct coro::Task::promise_type;
  coro::FramePool& frames() noexcept { return frames_; }

  // The buffer is a parameter so that it is freed with the frame, by serve().
  static coro::Task read(ReadRun& run, Clock::time_point now, std::uint32_t entry,
                         std::uint64_t sequence, io::Buffer buffer) {
    auto file = co_await run.reader_.read(now, sequence, entry, buffer);
    run.sequences_.finish(sequence);
    if (file) {
      run.take(entry, {buffer.data(), file->size});
    } else {
      run.fail(std::move(file.error()));
    }
  }

  io::ReaderOptions reader_options(std::size_t max_file_bytes) {
    io::ReaderOptions options;
    options.max_file_bytes = max_file_bytes;
    options.root = dataset_.root();
    options.path_of = [this](std::uint64_t file, std::string& out) {
      dataset_.index().relative_path(static_cast<std::size_t>(file), out);
    };
    options.ends_cleanly = decode::ends_cleanly;
    options.image_end = decode::image_end;
    options.report = [this](const io::ReadReport& report) {
      if (report.failed) return;
      micros_.push_back(std::chrono::duration<double, std::micro>(report.latency).count());
    };
    return options;
  }

  void take(std::uint32_t entry, std::span<const std::byte> file) {
    ++bench_.files;
    bench_.bytes += file.size();
    if (sink_ && !sated_) sated_ = !sink_(entry, file);
  }

  void fail(Error error) {
    ++bench_.failed;
    if (bench_.errors.size() < errors_kept) bench_.errors.push_back(std::move(error));
  }

  const ImageFolder& dataset_;
  io::Engine& engine_;
  ReadBench& bench_;
  const FileSink& sink_;
  std::vector<double> micros_;
  bool sated_ = false;

  io::Credits credits_;
  io::Reader reader_;
  pipeline::SequenceTracker sequences_;
  coro::FramePool frames_;
  coro::Inbox inbox_{[this] { engine_.wake(); }};
  coro::Scope scope_{inbox_};
  std::vector<std::coroutine_handle<>> finished_;
  std::vector<std::function<void()>> calls_;
  std::vector<io::Engine::Completion> completions_;
};

}  // namespace

ReadBench bench_read(const ImageFolder& dataset, std::span<const std::uint32_t> entries,
                     const pipeline::Settings& settings, const StageGoal& goal,
                     Interrupt& interrupt, const FileSink& sink) {
  ReadBench bench;
  const auto [engine, note] = io::open_engine(
      settings.reader,
      {.slots = static_cast<std::uint32_t>(settings.depth), .root = dataset.root()});
  bench.note = note;
  if (!engine->note().empty()) bench.note += (bench.note.empty() ? "" : "; ") + engine->note();
  bench.reader = engine->name();
  bench.depth = engine->slots();
  if (goal.images > 0 && entries.size() > goal.images) entries = entries.first(goal.images);

  const Interrupt::Guard guard(interrupt, [&wakes = *engine] { wakes.wake(); });
  Progress progress;
  ReadRun run(dataset, settings, *engine, bench, sink);
  const double cpu_start = process_cpu_seconds();
  const auto start = Clock::now();
  const auto elapsed = [start] {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  for (std::size_t next = 0;;) {
    const auto now = Clock::now();
    run.serve(now);
    const bool enough =
        interrupt.requested() || run.sated() || (goal.seconds > 0 && elapsed() >= goal.seconds);
    while (!enough && next < entries.size() && run.start(entries[next], now)) ++next;
    if (!run.busy()) break;
    run.wait();
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
