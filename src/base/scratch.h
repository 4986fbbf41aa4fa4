#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"

namespace ringfeed {

/// More bytes of scratch memory than this are not kept for later.
inline constexpr std::size_t modest_scratch = std::size_t{32} << 20;

/// Makes room for `size` bytes of any content. Memory is kept from call to call, but for what one
/// giant image took; there are never two pieces of it.
inline void make_room(AlignedVector<std::uint8_t>& scratch, std::size_t size) {
  const bool is_giant = scratch.size() > modest_scratch && size <= modest_scratch;
  if (scratch.size() >= size && !is_giant) return;
  scratch = AlignedVector<std::uint8_t>();  // `= {}` would keep the memory
  scratch.resize(size);
}

}  // namespace ringfeed
