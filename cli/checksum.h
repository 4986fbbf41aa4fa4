#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ringfeed/batch.h"

namespace ringfeed::cli {

/// What a view of a sample adds to a checksum: XXH3_64 of its tensor's bytes, with the view for its
/// seed, hashed again together with where it stood and what it is.
std::uint64_t sample_checksum(std::span<const std::byte> tensor, std::size_t view,
                              std::uint64_t position, std::uint64_t epoch, std::int64_t label,
                              std::uint32_t index) noexcept;

/// Sum modulo 2^64 over the samples of `batch` whose position is below `positions`, the number of
/// places in an epoch: what lies beyond is padding. Addition, so that neither order nor the split
/// into batches and ranks shows: the ranks' checksums add up to that of one rank.
std::uint64_t batch_checksum(const Batch& batch, std::uint64_t epoch,
                             std::uint64_t positions) noexcept;

/// 16 hex digits.
std::string format_checksum(std::uint64_t checksum);

}  // namespace ringfeed::cli
