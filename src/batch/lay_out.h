#pragma once

#include <cstddef>
#include <vector>

#include "ringfeed/batch.h"
#include "ringfeed/transform.h"

namespace ringfeed::batch {

/// The views of a batch of `size` samples: the images of one after those of the other, each view's
/// beginning aligned to 64 bytes.
std::vector<BatchView> lay_out(const std::vector<TransformPlan>& plans, std::size_t size);

/// From the first byte of a batch of `size` samples to its last.
std::size_t bytes_of(const std::vector<BatchView>& views, std::size_t size) noexcept;

}  // namespace ringfeed::batch
