#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace ringfeed::log_buckets {

// Eighths of an octave, as in HdrHistogram: a bucket's upper edge is at most 12.5 % above any value
// in it. Values below 8 share the first bucket.

constexpr std::size_t of(std::uint64_t value) noexcept {
  value = std::max<std::uint64_t>(value, 8);
  const auto octave = static_cast<std::size_t>(std::bit_width(value)) - 4;
  return octave * 8 + static_cast<std::size_t>((value >> octave) - 8);
}
constexpr std::uint64_t lower_edge(std::size_t bucket) noexcept {
  return std::uint64_t{bucket % 8 + 8} << (bucket / 8);
}
constexpr std::uint64_t upper_edge(std::size_t bucket) noexcept {
  return std::uint64_t{bucket % 8 + 9} << (bucket / 8);
}

}  // namespace ringfeed::log_buckets
