#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace ringfeed::testing {

/// Bytes on this program's heap and in its mappings now, and the most since somebody set it. A
/// program with counted_heap.cc replaces malloc itself, so that libjpeg, libpng and zlib are
/// counted too.
extern std::atomic<std::size_t> heap_live, heap_peak;

/// The most bytes that `use` holds at any moment beyond those held before.
template <class Use>
std::size_t peak_of(const Use& use) {
  const std::size_t before = heap_live;
  heap_peak = before;
  use();
  return heap_peak - before;
}

}  // namespace ringfeed::testing
