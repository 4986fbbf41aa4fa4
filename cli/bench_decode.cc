#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/mutex.h"
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

DecodeBench bench_decode(const std::vector<std::vector<std::byte>>& files,
                         const TransformPlan& plan, const DecodeLimits& decode_limits, int workers,
                         std::uint64_t seed, const BenchLimits& limits, Interrupt& interrupt) {
  using Clock = std::chrono::steady_clock;
  DecodeBench bench;
  bench.workers = workers;
  if (files.empty()) return bench;

  const Interrupt::Guard guard(interrupt, [] {});  // the threads look at requested()
  const std::uint64_t end = limits.images > 0 ? limits.images : UINT64_MAX;
  const auto start = Clock::now();
  const auto deadline =
      start + std::chrono::duration_cast<Clock::duration>(
                  std::chrono::duration<double>(limits.seconds > 0 ? limits.seconds : 1e6));
  const data::Key key = data::make_key(seed, 0);
  std::atomic<std::uint64_t> next{0};
  Mutex mutex;  // guards bench

  const auto work = [&] {
    sample::SampleMaker maker(plan, decode_limits);
    std::vector<std::byte> out(plan.sample_bytes());
    std::uint64_t images = 0, failed = 0;
    Error failure;
    const double cpu_start = thread_cpu_seconds();
    while (Clock::now() < deadline && !interrupt.requested()) {
      const std::uint64_t position = next.fetch_add(1, std::memory_order_relaxed);
      if (position >= end) break;
      const auto result = maker.make(files[position % files.size()], key, position, out.data());
      ++images;
      if (result) continue;
      if (failed++ == 0) {
        failure = {Stage::decode, 0, "", result.error().detail, result.error().option};
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
  for (int i = 0; i < workers; ++i) threads.emplace_back(work);
  threads.clear();  // joins
  bench.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return bench;
}

}  // namespace ringfeed::cli
