#pragma once

#include <cstddef>
#include <limits>
#include <new>
#include <vector>

#include "base/memory_block.h"

namespace ringfeed {

/// Vectors that start on a cache line: a 64-byte load that straddles two lines costs twice as much.
/// Large ones give their memory back to the system.
template <class T>
struct CacheLineAllocator {
  using value_type = T;

  CacheLineAllocator() = default;
  template <class U>
  explicit(false) CacheLineAllocator(const CacheLineAllocator<U>&) {}

  T* allocate(std::size_t count) {
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) throw std::bad_alloc();
    void* const block = allocate_block(count * sizeof(T));
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<T*>(block);
  }
  void deallocate(T* pointer, std::size_t count) { free_block(pointer, count * sizeof(T)); }
  bool operator==(const CacheLineAllocator&) const = default;
};

template <class T>
using AlignedVector = std::vector<T, CacheLineAllocator<T>>;

}  // namespace ringfeed
