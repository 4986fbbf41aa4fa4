#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/system_limits.h"

namespace ringfeed::pipeline {

/// What this process may take of the memory that there is.
struct MemoryRoom {
  std::uint64_t all;    ///< what is left, and what its batches hold already
  std::uint64_t share;  ///< this rank's part of that, fair to the others on this machine
  system_limits::Memory found;
};

/// Nothing where nothing says. Any thread; 0.1 ms.
std::optional<MemoryRoom> memory_room(
    const std::optional<system_limits::Memory>& found = system_limits::memory());

/// Batches ahead, each of `batch` bytes, where the caller leaves it open.
std::size_t choose_prefetch(std::size_t batch, const std::optional<MemoryRoom>& room) noexcept;

/// Encoded bytes ahead, where the caller leaves it open: `wanted`, or what the room advises.
std::size_t choose_read_ahead(std::size_t wanted, std::size_t least,
                              const std::optional<MemoryRoom>& room) noexcept;

/// Throws OutOfMemory where `count` batches of `batch` bytes each are more than there is, swap
/// included: the kernel would end the process where they are written.
void require_room(std::size_t count, std::size_t batch, const MemoryRoom& room);

}  // namespace ringfeed::pipeline
