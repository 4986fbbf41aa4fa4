#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/out_of_memory.h"
#include "batch/block_count.h"
#include "ringfeed/batch.h"

namespace ringfeed {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;
constexpr std::size_t small_page = 4096;
constexpr std::size_t alignment = 64;

struct Block {
  std::byte* data;
  std::size_t bytes;
};

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
  return std::max((bytes + to - 1) / to, std::size_t{1}) * to;
}

/// What a request of `bytes` gets: a block that does not fill a huge page is malloc's.
constexpr std::size_t block_bytes(std::size_t bytes) {
  return round_up(bytes, bytes < huge_page ? alignment : small_page);
}

std::atomic<std::size_t> in_blocks{0};

[[noreturn]] void refuse(std::size_t bytes) {
  throw OutOfMemory("no memory for a batch of " + std::to_string(bytes) +
                        " bytes; lower {} or {}, or " + OutOfMemory::raise_the_limit,
                    {Option::batch_size, Option::prefetch_factor});
}

Block make_block(std::size_t bytes) {
  if (bytes < huge_page) {
    void* const plain = std::aligned_alloc(alignment, bytes);
    if (plain == nullptr) refuse(bytes);
    in_blocks.fetch_add(bytes, std::memory_order_relaxed);
    return {static_cast<std::byte*>(plain), bytes};
  }
  // One huge page more than needed, so that an aligned block lies in it; the rest goes back.
  void* const mapped = ::mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) refuse(bytes);
  auto* const first = static_cast<std::byte*>(mapped);
  const std::size_t before =
      (huge_page - reinterpret_cast<std::uintptr_t>(mapped) % huge_page) % huge_page;
  if (before > 0) ::munmap(first, before);
  ::munmap(first + before + bytes, huge_page - before);
  // The rest of a huge page that is not filled would cost all of it. Refused where transparent huge
  // pages are switched off: small pages do then.
  ::madvise(first + before, bytes / huge_page * huge_page, MADV_HUGEPAGE);
  in_blocks.fetch_add(bytes, std::memory_order_relaxed);
  return {first + before, bytes};
}

void free_block(const Block& block) noexcept {
  in_blocks.fetch_sub(block.bytes, std::memory_order_relaxed);
  if (block.bytes < huge_page) {
    std::free(block.data);
  } else {
    ::munmap(block.data, block.bytes);
  }
}

/// The blocks nobody uses. Lives as long as the allocator and every block it handed out.
class IdleBlocks {
 public:
  explicit IdleBlocks(std::size_t keep) : keep_(keep) {
    blocks_.reserve(keep);  // give_back() must not allocate
  }
  ~IdleBlocks() { std::for_each(blocks_.begin(), blocks_.end(), free_block); }

  Block take(std::size_t bytes) {
    // Another thread of the parent may have held the lock at the fork, for ever.
    if (forked()) return make_block(bytes);
    const MutexLock lock(mutex_);
    const bool odd = bytes < size_ / 2;  // an epoch's last batch: not worth dropping the others for
    if (bytes != size_ && !odd) {
      drop();
      size_ = bytes;
    }
    Block block;
    if (odd || blocks_.empty()) {
      block = make_block(bytes);
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
    free_block(block);
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
    std::for_each(blocks_.begin(), blocks_.end(), free_block);
    blocks_.clear();
  }

  const pid_t owner_ = ::getpid();
  const std::size_t keep_;
  Mutex mutex_;
  std::vector<Block> blocks_ GUARDED_BY(mutex_);
  std::size_t in_use_ GUARDED_BY(mutex_) = 0;
  /// Of the latest request that was not a small part of the one before; blocks of other sizes are
  /// not kept.
  std::size_t size_ GUARDED_BY(mutex_) = 0;
  bool closed_ GUARDED_BY(mutex_) = false;
};

class HugePageAllocator final : public BatchAllocator {
 public:
  explicit HugePageAllocator(std::size_t keep) : idle_(std::make_shared<IdleBlocks>(keep)) {}
  ~HugePageAllocator() override { idle_->close(); }

  BatchMemory allocate(std::size_t bytes) override {
    if (bytes > std::numeric_limits<std::size_t>::max() - 2 * huge_page) refuse(bytes);
    const Block block = idle_->take(block_bytes(bytes));
    // Should shared_ptr fail to allocate, it calls the deleter.
    std::shared_ptr<void> owner(block.data,
                                [idle = idle_, block](void*) { idle->give_back(block); });
    return {block.data, block.bytes, std::move(owner)};
  }

  std::size_t footprint(std::size_t bytes) const noexcept override {
    constexpr std::size_t of_malloc = 2 * alignment;  // its own words, and what aligning leaves
    const std::size_t block = block_bytes(bytes);
    return block < huge_page ? block + of_malloc : block;
  }

 private:
  const std::shared_ptr<IdleBlocks> idle_;
};

}  // namespace

std::size_t batch::bytes_in_blocks() noexcept { return in_blocks.load(std::memory_order_relaxed); }

std::shared_ptr<BatchAllocator> make_huge_page_allocator(std::size_t keep) {
  return std::make_shared<HugePageAllocator>(keep);
}

}  // namespace ringfeed
