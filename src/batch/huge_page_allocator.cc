#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

#include "ringfeed/batch.h"

namespace ringfeed {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

struct Block {
  std::byte* data;
  std::size_t bytes;
};

Block map_block(std::size_t bytes) {
  // One huge page more than needed, so that an aligned block lies in it; the rest goes back.
  void* const mapped = ::mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  auto* const first = static_cast<std::byte*>(mapped);
  const std::size_t before =
      (huge_page - reinterpret_cast<std::uintptr_t>(mapped) % huge_page) % huge_page;
  if (before > 0) ::munmap(first, before);
  ::munmap(first + before + bytes, huge_page - before);
  // Refused where transparent huge pages are switched off: small pages do then.
  ::madvise(first + before, bytes, MADV_HUGEPAGE);
  return {first + before, bytes};
}

void unmap(const Block& block) noexcept { ::munmap(block.data, block.bytes); }

/// The blocks nobody uses. Lives as long as the allocator and every block it handed out.
class IdleBlocks {
 public:
  ~IdleBlocks() { std::for_each(blocks_.begin(), blocks_.end(), unmap); }

  Block take(std::size_t bytes) {
    // Another thread of the parent may have held the lock at the fork, for ever.
    if (forked()) return map_block(bytes);
    {
      const std::lock_guard lock(mutex_);
      if (bytes != size_) drop();
      size_ = bytes;
      if (!blocks_.empty()) {
        const Block block = blocks_.back();
        blocks_.pop_back();
        return block;
      }
    }
    return map_block(bytes);
  }

  void give_back(const Block& block) noexcept {
    if (!forked()) {
      const std::lock_guard lock(mutex_);
      if (!closed_ && block.bytes == size_ && blocks_.size() < most) {
        blocks_.push_back(block);
        return;
      }
    }
    unmap(block);
  }

  void close() noexcept {
    if (forked()) return;
    const std::lock_guard lock(mutex_);
    closed_ = true;
    drop();
  }

 private:
  // In steady state the consumer drops one batch for each it takes, so one block is idle at a
  // time, two when it overlaps with the next request. More would be memory outside every bound.
  static constexpr std::size_t most = 2;

  bool forked() const noexcept { return ::getpid() != owner_; }

  void drop() noexcept {
    std::for_each(blocks_.begin(), blocks_.end(), unmap);
    blocks_.clear();
  }

  static std::vector<Block> reserved() {
    std::vector<Block> blocks;
    blocks.reserve(most);  // give_back() must not allocate
    return blocks;
  }

  const pid_t owner_ = ::getpid();
  std::mutex mutex_;
  std::vector<Block> blocks_ = reserved();
  std::size_t size_ = 0;  ///< of the latest request; blocks of other sizes are not kept
  bool closed_ = false;
};

class HugePageAllocator final : public BatchAllocator {
 public:
  ~HugePageAllocator() override { idle_->close(); }

  BatchMemory allocate(std::size_t bytes) override {
    if (bytes > std::numeric_limits<std::size_t>::max() - 2 * huge_page) throw std::bad_alloc();
    const std::size_t rounded =
        std::max((bytes + huge_page - 1) / huge_page, std::size_t{1}) * huge_page;
    const Block block = idle_->take(rounded);
    // Should shared_ptr fail to allocate, it calls the deleter.
    std::shared_ptr<void> owner(block.data,
                                [idle = idle_, block](void*) { idle->give_back(block); });
    return {block.data, block.bytes, std::move(owner)};
  }

 private:
  const std::shared_ptr<IdleBlocks> idle_ = std::make_shared<IdleBlocks>();
};

}  // namespace

std::shared_ptr<BatchAllocator> make_huge_page_allocator() {
  return std::make_shared<HugePageAllocator>();
}

}  // namespace ringfeed
