#pragma once

#include <cstddef>
#include <cstdint>

#include "base/planar.h"
#include "resize/tables.h"

namespace ringfeed::resize {

/// One instruction set's resize passes. Both round and clip to 8 bits, as each of Pillow's does.
struct ResampleKernels {
  /// Pixels a vector holds: what build_horizontal wants.
  int lanes;
  /// One row of RGB triples into three planes, table.stride apart.
  void (*horizontal)(const HorizontalTable& table, const std::uint8_t* rgb, std::uint8_t* planar);
  /// `bytes` columns of 2 * table.pairs rows, with their `words`, into one row, rounded up to
  /// kernel_slack bytes.
  void (*vertical)(const VerticalTable& table, const std::uint8_t* const* rows,
                   const std::int32_t* words, std::size_t bytes, std::uint8_t* out);
};

/// The kernels of the best instruction set that this machine has and Highway has not disabled.
const ResampleKernels& resample_kernels();

}  // namespace ringfeed::resize
