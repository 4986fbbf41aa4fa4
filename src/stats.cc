#include "ringfeed/stats.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ringfeed {
namespace {

/// Decoders idle for less than this share are the limit themselves: the start of every epoch costs
/// a few per cent of idling that no setting removes.
constexpr double idle_tolerance = 0.10;

struct Shares {
  double busy = 0, starved = 0, blocked = 0, unordered = 0;
};

/// Fractions of what the decoders' time went into. Their own sum is the denominator, not wall time
/// x workers: a snapshot of a running loader has no agreed wall time.
Shares shares(const Stats& stats) noexcept {
  const double total = stats.decode.busy_seconds + stats.starved_seconds + stats.blocked_seconds +
                       stats.unordered_seconds;
  if (!(total > 0)) return {};
  return {stats.decode.busy_seconds / total, stats.starved_seconds / total,
          stats.blocked_seconds / total, stats.unordered_seconds / total};
}

int percent(double share) { return static_cast<int>(std::lround(100 * share)); }

}  // namespace

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::storage_bound: return "storage-bound";
    case Verdict::decode_bound: return "decode-bound";
    case Verdict::consumer_bound: return "consumer-bound";
    case Verdict::order_bound: return "order-bound";
  }
  return "unknown";
}

Verdict Stats::verdict() const noexcept {
  const auto [busy, starved, blocked, unordered] = shares(*this);
  if (starved + blocked + unordered <= idle_tolerance) return Verdict::decode_bound;
  if (starved >= std::max(blocked, unordered)) return Verdict::storage_bound;
  return blocked >= unordered ? Verdict::consumer_bound : Verdict::order_bound;
}

std::string Stats::verdict_line(OptionNames names) const {
  const Shares share = shares(*this);
  if (share.busy + share.starved + share.blocked + share.unordered == 0)
    return "no verdict: nothing was decoded";

  char figures[96];
  std::snprintf(figures, sizeof figures,
                ": decoders busy %d %%, starved %d %%, blocked %d %% of their time; ",
                percent(share.busy), percent(share.starved), percent(share.blocked));
  std::string line = to_string(verdict()) + figures;
  switch (verdict()) {
    case Verdict::storage_bound: {
      char latency[128];
      std::snprintf(latency, sizeof latency,
                    "a file takes %.1f ms (p99 %.1f ms) at a depth of %d: ", read.p50_us / 1e3,
                    read.p99_us / 1e3, depth);
      line += latency;
      if (read.count < static_cast<std::uint64_t>(depth)) {
        line += "these few files are read at once; run longer to know, or speed up the storage";
        break;
      }
      line += "raise " + std::string(names(Option::depth)) + " and " +
              std::string(names(Option::read_ahead_bytes)) + ", or speed up the storage";
      break;
    }
    case Verdict::decode_bound:
      line += "more cores (" + std::string(names(Option::num_workers)) + ") would help";
      break;
    case Verdict::consumer_bound:
      line += "batches wait for the caller, loading is not the limit";
      break;
    case Verdict::order_bound: {
      char waits[96];
      std::snprintf(waits, sizeof waits, "for %d %% of it they wait for the sampler, which tells ",
                    percent(share.unordered));
      line += waits;
      line += "too late which samples come";
      break;
    }
  }
  return line;
}

}  // namespace ringfeed
