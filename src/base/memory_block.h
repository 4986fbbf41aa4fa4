#pragma once

#include <cstddef>

namespace ringfeed {

/// Blocks of at least so many bytes are mappings of their own, which go back to the system when
/// they are freed. The heap would keep them, up to 32 MiB each, for the thread that had them.
inline constexpr std::size_t mapped_from = std::size_t{256} << 10;

/// Starts on a cache line. Null if there is no memory. Any thread.
void* allocate_block(std::size_t bytes) noexcept;
/// `bytes` as they were asked for.
void free_block(void* block, std::size_t bytes) noexcept;

}  // namespace ringfeed
