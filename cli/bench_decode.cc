#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <system_error>
#include <thread>

#include "base/mutex.h"
#include "base/thread_start.h"
#include "batch/lay_out.h"
#include "data/random.h"
#include "sample/sample_maker.h"
#include "stage_bench.h"

namespace ringfeed::cli {
namespace {

double thread_cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

DecodeBench bench_decode(const ImageFolder& dataset, const std::vector<HeldFile>& files,
                         const std::vector<TransformPlan>& plans,
                         const pipeline::Settings& settings, const StageGoal& goal,
                         Interrupt& interrupt) {
  using Clock = std::chrono::steady_clock;
  DecodeBench bench;
  bench.workers = settings.num_workers;
  if (files.empty()) return bench;

  const Interrupt::Guard guard(interrupt, [] {});  // the threads look at requested()
  const std::uint64_t end = goal.images > 0 ? goal.images : UINT64_MAX;
  const auto start = Clock::now();
  const auto deadline =
      start + std::chrono::duration_cast<Clock::duration>(
                  std::chrono::duration<double>(goal.seconds > 0 ? goal.seconds : 1e6));
  const data::Key key = data::make_key(settings.seed, 0);
  const std::vector<BatchView> views = batch::lay_out(plans, 1);
  std::atomic<std::uint64_t> next{0};
  Mutex mutex;  // guards bench

  const auto work = [&] {
    sample::SampleMaker maker(plans, settings.limits);
    std::vector<std::byte> out(batch::bytes_of(views, 1));
    std::uint64_t images = 0, failed = 0;
    Error failure;
    const double cpu_start = thread_cpu_seconds();
    while (Clock::now() < deadline && !interrupt.requested()) {
      const std::uint64_t position = next.fetch_add(1, std::memory_order_relaxed);
      if (position >= end) break;
      const HeldFile& file = files[position % files.size()];
      const auto result = maker.make(file.bytes, key, position, {out.data(), views});
      ++images;
      if (result) continue;
      if (failed++ == 0) {
        failure = {Stage::decode, 0, dataset.path(file.entry), result.error().detail,
                   result.error().option};
      }
    }
    const double cpu = thread_cpu_seconds() - cpu_start;
    const MutexLock lock(mutex);
    bench.images += images;
    if (bench.failed == 0) bench.first_failure = failure;
    bench.failed += failed;
    bench.cpu_seconds += cpu;
  };
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<std::size_t>(settings.num_workers));
  try {
    for (int i = 0; i < settings.num_workers; ++i) threads.emplace_back(work);
  } catch (const std::system_error& error) {
    throw LoadError(cannot_start(error));
  }
  threads.clear();  // joins
  bench.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return bench;
}

}  // namespace ringfeed::cli
