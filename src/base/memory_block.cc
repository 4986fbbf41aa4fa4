#include "base/memory_block.h"

#include <sys/mman.h>

#include <new>

namespace ringfeed {
namespace {

constexpr std::align_val_t alignment{64};

}  // namespace

void* allocate_block(std::size_t bytes) noexcept {
  if (bytes < mapped_from) return ::operator new(bytes, alignment, std::nothrow);
  void* const mapped =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return mapped == MAP_FAILED ? nullptr : mapped;
}

void free_block(void* block, std::size_t bytes) noexcept {
  if (bytes < mapped_from) {
    ::operator delete(block, alignment);
  } else {
    ::munmap(block, bytes);
  }
}

}  // namespace ringfeed
