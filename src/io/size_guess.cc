#include "io/size_guess.h"

#include <algorithm>

#include "base/log_buckets.h"
#include "io/arena.h"

namespace ringfeed::io {
namespace {

// ImageNet's mean is 110 KB; the first reads ask for a little more.
constexpr std::size_t first_guess = std::size_t{128} << 10;
// Two files in a hundred may need a second read; a larger share would cost round trips, a smaller
// one bytes that only the largest files use.
constexpr double covered = 0.98;
constexpr std::uint32_t learn_every = 32;
constexpr std::uint32_t forget_at = 8192;

}  // namespace

SizeGuess::SizeGuess(std::size_t most) noexcept
    : most_(most), guess_(std::min(first_guess, most)) {}

void SizeGuess::learn(std::size_t file_bytes) noexcept {
  ++count_[std::min(log_buckets::of(file_bytes), buckets - 1)];
  ++total_;
  if (total_ % learn_every == 0) recompute();
  if (total_ >= forget_at) {
    total_ = 0;
    for (auto& n : count_) total_ += n /= 2;
  }
}

void SizeGuess::raise(std::size_t bytes) noexcept {
  guess_ = std::max(guess_, std::min(most_, Arena::round_up(bytes)));
}

void SizeGuess::recompute() noexcept {
  const auto wanted = static_cast<std::uint32_t>(covered * total_);
  std::uint32_t seen = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
    seen += count_[bucket];
    if (seen <= wanted) continue;
    guess_ = std::min(most_, Arena::round_up(log_buckets::upper_edge(bucket)));
    return;
  }
}

}  // namespace ringfeed::io
