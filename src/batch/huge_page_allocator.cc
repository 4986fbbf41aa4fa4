#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

#include "base/mutex.h"
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
  explicit IdleBlocks(std::size_t keep) : keep_(keep) {
    blocks_.reserve(keep);  // give_back() must not allocate
  }
  ~IdleBlocks() { std::for_each(blocks_.begin(), blocks_.end(), unmap); }

  Block take(std::size_t bytes) {
    // Another thread of the parent may have held the lock at the fork, for ever.
    if (forked()) return map_block(bytes);
    const MutexLock lock(mutex_);
    if (bytes != size_) drop();
    size_ = bytes;
    Block block;
    if (blocks_.empty()) {
      block = map_block(bytes);
    } else {
      block = blocks_.back();
      blocks_.pop_back();
    }
    ++in_use_;
    return block;
  }

  void give_back(const Block& block) noexcept {
    if (!forked()) {
      const MutexLock lock(mutex_);
      --in_use_;
      if (!closed_ && block.bytes == size_ && in_use_ + blocks_.size() < keep_) {
        blocks_.push_back(block);
        return;
      }
    }
    unmap(block);
  }

  void close() noexcept {
    if (forked()) return;
    const MutexLock lock(mutex_);
    closed_ = true;
    drop();
  }

 private:
  bool forked() const noexcept { return ::getpid() != owner_; }

  void drop() noexcept REQUIRES(mutex_) {
    std::for_each(blocks_.begin(), blocks_.end(), unmap);
    blocks_.clear();
  }

  const pid_t owner_ = ::getpid();
  const std::size_t keep_;
  Mutex mutex_;
  std::vector<Block> blocks_ GUARDED_BY(mutex_);
  std::size_t in_use_ GUARDED_BY(mutex_) = 0;
  /// Of the latest request; blocks of other sizes are not kept.
  std::size_t size_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

class HugePageAllocator final : public BatchAllocator {
 public:
  explicit HugePageAllocator(std::size_t keep) : idle_(std::make_shared<IdleBlocks>(keep)) {}
  ~HugePageAllocator() override { idle_->close(); }

  BatchMemory allocate(std::size_t bytes) override {
    if (bytes > std::numeric_limits<std::size_t>::max() - 2 * huge_page) throw std::bad_alloc();
    const Block block = idle_->take(footprint(bytes));
    // Should shared_ptr fail to allocate, it calls the deleter.
    std::shared_ptr<void> owner(block.data,
                                [idle = idle_, block](void*) { idle->give_back(block); });
    return {block.data, block.bytes, std::move(owner)};
  }

  std::size_t footprint(std::size_t bytes) const noexcept override {
    return std::max((bytes + huge_page - 1) / huge_page, std::size_t{1}) * huge_page;
  }

 private:
  const std::shared_ptr<IdleBlocks> idle_;
};

}  // namespace

std::shared_ptr<BatchAllocator> make_huge_page_allocator(std::size_t keep) {
  return std::make_shared<HugePageAllocator>(keep);
}

}  // namespace ringfeed
