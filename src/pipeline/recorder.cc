#include "pipeline/recorder.h"

#include <algorithm>

#include "base/log_buckets.h"

namespace ringfeed::pipeline {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

std::int64_t now_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double middle_us(std::size_t bucket) {
  const auto low = static_cast<double>(log_buckets::lower_edge(bucket));
  const auto high = static_cast<double>(log_buckets::upper_edge(bucket));
  return (low + high) / 2 / 1000;
}

}  // namespace

void StageRecorder::record(Duration latency, std::uint64_t bytes, bool failed) noexcept {
  const auto ns = static_cast<std::uint64_t>(
      std::max<std::int64_t>(0, std::chrono::nanoseconds(latency).count()));
  count_.fetch_add(1, relaxed);
  if (failed) failed_.fetch_add(1, relaxed);
  bytes_.fetch_add(bytes, relaxed);
  busy_ns_.fetch_add(ns, relaxed);
  histogram_[std::min(log_buckets::of(ns), buckets - 1)].fetch_add(1, relaxed);
  for (auto most = max_ns_.load(relaxed); most < ns;) {
    if (max_ns_.compare_exchange_weak(most, ns, relaxed)) break;
  }
}

StageStats StageRecorder::snapshot() const noexcept {
  StageStats stats;
  stats.count = count_.load(relaxed);
  stats.failed = failed_.load(relaxed);
  stats.bytes = bytes_.load(relaxed);
  stats.busy_seconds = static_cast<double>(busy_ns_.load(relaxed)) * 1e-9;
  stats.max_us = static_cast<double>(max_ns_.load(relaxed)) / 1000;
  std::array<std::uint64_t, buckets> copy;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets; ++i) total += copy[i] = histogram_[i].load(relaxed);
  const auto quantile = [&](double q) {
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(total));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
      seen += copy[i];
      if (seen > rank) return std::min(middle_us(i), stats.max_us);
    }
    return 0.0;
  };
  stats.p50_us = quantile(0.50);
  stats.p90_us = quantile(0.90);
  stats.p99_us = quantile(0.99);
  return stats;
}

void RunClock::start() noexcept {
  std::int64_t stopped = 0;
  since_ns_.compare_exchange_strong(stopped, now_ns());
}

void RunClock::stop() noexcept {
  const std::int64_t since = since_ns_.exchange(0);
  if (since != 0) ran_ns_.fetch_add(now_ns() - since);
}

double RunClock::seconds() const noexcept {
  const std::int64_t since = since_ns_.load();
  return static_cast<double>(ran_ns_.load() + (since != 0 ? now_ns() - since : 0)) * 1e-9;
}

}  // namespace ringfeed::pipeline
