#include "support/counted_heap.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

// glibc's own functions behind the replaced ones.
extern "C" {
void* __libc_malloc(std::size_t) noexcept;
void* __libc_calloc(std::size_t, std::size_t) noexcept;
void* __libc_realloc(void*, std::size_t) noexcept;
void* __libc_memalign(std::size_t, std::size_t) noexcept;
void __libc_free(void*) noexcept;
}

namespace ringfeed::testing {

std::atomic<std::size_t> heap_live{0}, heap_peak{0};

}  // namespace ringfeed::testing

namespace {

using ringfeed::testing::heap_live;
using ringfeed::testing::heap_peak;

void* counted(void* p, std::size_t bytes) {
  const std::size_t now = heap_live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t most = heap_peak.load(std::memory_order_relaxed);
  while (most < now && !heap_peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {
  }
  return p;
}

void* counted(void* p) { return counted(p, malloc_usable_size(p)); }

std::size_t in_pages(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

void uncount(void* p) { heap_live.fetch_sub(malloc_usable_size(p), std::memory_order_relaxed); }

}  // namespace

extern "C" {
void* malloc(std::size_t bytes) noexcept { return counted(__libc_malloc(bytes)); }
void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return counted(__libc_calloc(count, bytes));
}
void* realloc(void* p, std::size_t bytes) noexcept {
  uncount(p);
  void* const moved = __libc_realloc(p, bytes);
  if (moved == nullptr && bytes > 0) counted(p);
  return counted(moved);
}
void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return counted(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return counted(__libc_memalign(alignment, bytes));
}
int posix_memalign(void** p, std::size_t alignment, std::size_t bytes) noexcept {
  *p = counted(__libc_memalign(alignment, bytes));
  return *p == nullptr ? ENOMEM : 0;
}
void free(void* p) noexcept {
  uncount(p);
  __libc_free(p);
}
// Mappings of the program's own; the heap's are none, because it does not call these.
void* mmap(void* at, std::size_t bytes, int protection, int flags, int file,
           off_t offset) noexcept {
  void* const p =
      reinterpret_cast<void*>(::syscall(SYS_mmap, at, bytes, protection, flags, file, offset));
  return p == MAP_FAILED ? p : counted(p, in_pages(bytes));
}
int munmap(void* p, std::size_t bytes) noexcept {
  heap_live.fetch_sub(in_pages(bytes), std::memory_order_relaxed);
  return static_cast<int>(::syscall(SYS_munmap, p, bytes));
}
}
