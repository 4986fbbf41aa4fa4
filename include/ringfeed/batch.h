#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ringfeed/transform.h"

namespace ringfeed {

/// Memory for one batch of images. `owner` keeps it alive; dropping the last copy gives it back.
struct BatchMemory {
  std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::shared_ptr<void> owner;
};

/// Where batches live. Called on the consumer thread only, from within next(); the owner of the
/// memory may be released on any thread.
///
/// @code
/// struct Plain final : ringfeed::BatchAllocator {
///   ringfeed::BatchMemory allocate(std::size_t bytes) override {
///     const std::size_t rounded = (bytes + 63) / 64 * 64;
///     const std::shared_ptr<void> block(std::aligned_alloc(64, rounded), std::free);
///     if (block == nullptr) throw std::bad_alloc();
///     return {static_cast<std::byte*>(block.get()), bytes, block};
///   }
/// };
/// const std::shared_ptr<ringfeed::BatchAllocator> allocator = std::make_shared<Plain>();
/// std::cout << allocator->allocate(1000).bytes << "\n";  // LoaderOptions::allocator takes it
/// @endcode
class BatchAllocator {
 public:
  virtual ~BatchAllocator() = default;
  /// At least `bytes` bytes, aligned to 64. Throws std::bad_alloc.
  virtual BatchMemory allocate(std::size_t bytes) = 0;
  /// What an allocation of `bytes` takes in truth, rounding included: what memory_bound() counts.
  virtual std::size_t footprint(std::size_t bytes) const noexcept { return bytes; }
};

/// The default: blocks in huge pages (2 MiB-aligned, advised MADV_HUGEPAGE), of malloc below 2 MiB;
/// reused, so that page faults are paid once, and no larger than what they hold, to a page. A
/// returned block is kept while no more than `keep` are alive, in use or idle; beyond that it goes
/// back to the system.
std::shared_ptr<BatchAllocator> make_huge_page_allocator(std::size_t keep);

/// What a batch holds of one view: images of shape [size, 3, height, width] in `layout` and
/// `dtype`.
struct BatchView {
  int height = 0, width = 0;
  DType dtype = DType::float32;
  Layout layout = Layout::nchw;
  std::size_t offset = 0;  ///< of the first image in the batch's memory, in bytes; a multiple of 64

  std::size_t sample_bytes() const noexcept {
    return std::size_t{3} * static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
           item_size(dtype);
  }
};

/// One delivered batch. Owns its memory: keep it as long as you like.
struct Batch {
  BatchMemory memory;
  std::int64_t number = 0;               ///< in the epoch's order, from 0 at its start position
  std::vector<std::int64_t> labels;      ///< [size]
  std::vector<std::uint64_t> positions;  ///< [size] places in the epoch's global order
  std::vector<std::uint32_t> indices;    ///< [size] entries of the dataset
  std::vector<BatchView> views;          ///< one for each plan of the loader, in their order

  std::size_t size() const noexcept { return labels.size(); }
  /// All samples' pixels in one view, one sample after the other; empty where there is no such
  /// view.
  std::span<const std::byte> pixels(std::size_t view = 0) const noexcept {
    if (view >= views.size()) return {};
    return {memory.data + views[view].offset, size() * views[view].sample_bytes()};
  }
  /// Sample `i` of those; `i` is below size().
  std::span<const std::byte> sample(std::size_t i, std::size_t view = 0) const noexcept {
    if (view >= views.size()) return {};
    const std::size_t bytes = views[view].sample_bytes();
    return pixels(view).subspan(i * bytes, bytes);
  }
};

}  // namespace ringfeed
