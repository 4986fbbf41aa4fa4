#include "batch/leave_out.h"

#include <algorithm>
#include <cstring>

namespace ringfeed::batch {

void leave_out(Batch& batch, std::span<const std::size_t> rows) noexcept {
  const auto stays = [rows](std::size_t row) { return !std::ranges::binary_search(rows, row); };
  const std::size_t size = batch.size();
  std::size_t left = 0;
  for (std::size_t row = 0; row < size; ++row) {
    if (!stays(row)) continue;
    if (left != row) {
      batch.labels[left] = batch.labels[row];
      batch.positions[left] = batch.positions[row];
      batch.indices[left] = batch.indices[row];
      for (const BatchView& view : batch.views) {
        std::byte* const images = batch.memory.data + view.offset;
        const std::size_t bytes = view.sample_bytes();
        std::memcpy(images + left * bytes, images + row * bytes, bytes);
      }
    }
    ++left;
  }
  batch.labels.resize(left);
  batch.positions.resize(left);
  batch.indices.resize(left);
}

}  // namespace ringfeed::batch
