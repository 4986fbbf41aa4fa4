#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace ringfeed::testing {

/// Zeros between two pages that nothing may touch: a read or write there ends the process, whoever
/// makes it. The address sanitizer does not see those of gathers and scatters.
class GuardedMemory {
 public:
  explicit GuardedMemory(std::size_t bytes) : usable_((bytes + page - 1) / page * page) {
    void* const all =
        mmap(nullptr, usable_ + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) throw std::bad_alloc();
    begin_ = static_cast<std::uint8_t*>(all) + page;
    if (mprotect(begin_, usable_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
  }
  ~GuardedMemory() { munmap(begin_ - page, usable_ + 2 * page); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  /// Behind the first guard.
  std::uint8_t* first() const { return begin_; }
  /// `bytes` that end where the second one begins.
  std::uint8_t* last(std::size_t bytes) const { return begin_ + usable_ - bytes; }

  static constexpr std::size_t page = 4096;

 private:
  std::size_t usable_;
  std::uint8_t* begin_;
};

}  // namespace ringfeed::testing
