#pragma once

#include <cstddef>
#include <optional>
#include <vector>

namespace ringfeed::io {

/// Contiguous runs of pages out of one fixed mapping: the physical bound on encoded bytes. Files
/// are read and freed in roughly the order they were asked for, so first fit behaves like a ring
/// buffer and fragments little. One thread only.
class Arena {
 public:
  static constexpr std::size_t page = 4096;
  static constexpr std::size_t round_up(std::size_t bytes) noexcept {
    return (bytes + page - 1) / page * page;
  }

  struct Extent {
    std::size_t offset = 0;
    std::size_t bytes = 0;  // a multiple of page
  };

  /// Throws std::bad_alloc if the address space cannot be had.
  explicit Arena(std::size_t bytes);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  std::byte* data(const Extent& extent) const noexcept { return base_ + extent.offset; }
  std::size_t capacity() const noexcept { return capacity_; }
  std::size_t in_use() const noexcept { return in_use_; }

  /// Sizes are rounded up to pages; nothing if no run is long enough.
  std::optional<Extent> allocate(std::size_t bytes);
  /// Lengthens in place if the pages behind are free.
  bool extend(Extent& extent, std::size_t bytes);
  /// Gives the tail back.
  void shrink(Extent& extent, std::size_t bytes) noexcept;
  void free(const Extent& extent) noexcept;

 private:
  std::byte* base_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t in_use_ = 0;
  std::vector<Extent> free_;  // by offset, never adjacent
};

}  // namespace ringfeed::io
