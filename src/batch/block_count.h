#pragma once

#include <cstddef>

namespace ringfeed::batch {

/// What the batches of make_huge_page_allocator() take in this process, in use or idle; any thread.
std::size_t bytes_in_blocks() noexcept;

}  // namespace ringfeed::batch
