#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "ringfeed/batch.h"

namespace ringfeed {

/// Batches in memory that torch allocates, page-locked with `pinned` (which needs CUDA). Unlike a
/// plain BatchMemory such a batch becomes a tensor of torch's own storage, which a copy to the
/// device by non_blocking=true finds even from a slice: torch then waits for the copy before it
/// uses the memory again.
std::shared_ptr<BatchAllocator> make_tensor_allocator(bool pinned);

at::ScalarType scalar_type(DType dtype);

/// Whether a batch's memory is torch's, so that a copy by non_blocking=true keeps it until it is
/// done. Another allocator's may be used again as soon as its last tensor is dropped.
bool is_torchs(const Batch& batch) noexcept;

/// Whether that memory is page-locked too.
bool is_page_locked(const Batch& batch) noexcept;

/// The batch's pixels, not copied: [size, 3, height, width] of each view. Takes the memory.
std::vector<at::Tensor> take_images(Batch& batch);

/// The batch's labels: int64 [size], page-locked if the images are.
at::Tensor copy_labels(const Batch& batch);

}  // namespace ringfeed
