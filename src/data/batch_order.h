#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "data/epoch_order.h"
#include "ringfeed/order.h"

namespace ringfeed::data {

/// The samples that a rank delivers together.
struct OrderedBatch {
  std::vector<Sample> samples;
  std::uint64_t end = 0;  ///< Progress::positions once it and all before it have been delivered
};

/// A rank's epoch from its start on, a batch a call; nothing at the end. One thread. What it throws
/// ends it.
using BatchOrder = std::function<std::optional<OrderedBatch>()>;

/// Batches of `batch_size`. The last may be smaller, unless `drop_last`; with it the epoch is over,
/// so that it ends at the same place on all ranks, whatever their shares.
BatchOrder in_batches(EpochOrder order, std::size_t batch_size, bool drop_last);

/// An order made elsewhere, at the positions of `options`; its shuffle and uneven mean nothing
/// here. Throws std::invalid_argument, from the call, for an empty batch and an index outside the
/// dataset.
BatchOrder from_source(BatchSource source, std::size_t dataset_size, const OrderOptions& options);

}  // namespace ringfeed::data
