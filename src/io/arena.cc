#include "io/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

namespace ringfeed::io {

Arena::Arena(std::size_t bytes) : capacity_(round_up(bytes)) {
  void* base = ::mmap(nullptr, capacity_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<std::byte*>(base);
  // At most one free run between any two used ones; reserving the worst case keeps free() noexcept
  // and out of malloc. 16 bytes for every second page.
  free_.reserve(capacity_ / page / 2 + 2);
  free_.push_back({0, capacity_});
}

Arena::~Arena() { ::munmap(base_, capacity_); }

std::optional<Arena::Extent> Arena::allocate(std::size_t bytes) {
  bytes = round_up(bytes);
  for (auto run = free_.begin(); run != free_.end(); ++run) {
    if (run->bytes < bytes) continue;
    const Extent extent{run->offset, bytes};
    run->offset += bytes;
    run->bytes -= bytes;
    if (run->bytes == 0) free_.erase(run);
    in_use_ += bytes;
    return extent;
  }
  return std::nullopt;
}

bool Arena::extend(Extent& extent, std::size_t bytes) {
  bytes = round_up(bytes);
  if (bytes <= extent.bytes) return true;
  const std::size_t more = bytes - extent.bytes;
  const std::size_t end = extent.offset + extent.bytes;
  const auto run = std::lower_bound(free_.begin(), free_.end(), end,
                                    [](const Extent& e, std::size_t at) { return e.offset < at; });
  if (run == free_.end() || run->offset != end || run->bytes < more) return false;
  run->offset += more;
  run->bytes -= more;
  if (run->bytes == 0) free_.erase(run);
  extent.bytes = bytes;
  in_use_ += more;
  return true;
}

void Arena::shrink(Extent& extent, std::size_t bytes) noexcept {
  bytes = round_up(bytes);
  if (bytes >= extent.bytes) return;
  free({extent.offset + bytes, extent.bytes - bytes});
  extent.bytes = bytes;
}

void Arena::free(const Extent& extent) noexcept {
  if (extent.bytes == 0) return;
  in_use_ -= extent.bytes;
  auto after =
      std::lower_bound(free_.begin(), free_.end(), extent.offset,
                       [](const Extent& e, std::size_t offset) { return e.offset < offset; });
  const bool joins_after = after != free_.end() && extent.offset + extent.bytes == after->offset;
  if (after != free_.begin()) {
    auto before = after - 1;
    if (before->offset + before->bytes == extent.offset) {
      before->bytes += extent.bytes;
      if (joins_after) {
        before->bytes += after->bytes;
        free_.erase(after);
      }
      return;
    }
  }
  if (joins_after) {
    after->offset = extent.offset;
    after->bytes += extent.bytes;
  } else {
    free_.insert(after, extent);
  }
}

}  // namespace ringfeed::io
