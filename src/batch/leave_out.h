#pragma once

#include <cstddef>
#include <span>

#include "ringfeed/batch.h"

namespace ringfeed::batch {

/// Takes these rows, which are ascending, out of `batch`: those behind them move up in its memory,
/// which stays.
void leave_out(Batch& batch, std::span<const std::size_t> rows) noexcept;

}  // namespace ringfeed::batch
