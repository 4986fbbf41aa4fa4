#pragma once

#include <cstdint>

#include "decode/jpeg/entropy/scan.h"

namespace ringfeed::decode {

/// A reader somewhere in a scan, which decodes block after block. One that does not begin where a
/// block does reads garbage at first, and then falls in step.
struct Stream {
  std::uint64_t position = 0;      ///< of the next bit
  std::uint64_t limit = 0;         ///< a block that would begin there or later is not begun
  Coefficient* block = nullptr;    ///< that it is in, or that comes next
  Coefficient* end = nullptr;      ///< no block is begun there. Two more have room behind it.
  std::uint32_t* start = nullptr;  ///< where the next block's position goes
  unsigned next = 0;               ///< index of the next coefficient; 0: between two blocks
  int in_mcu = 0;                  ///< the block's place in the MCU
  /// The last block with what no encoder writes: an unassigned code, a run past its end.
  const Coefficient* bad = nullptr;
  std::uint32_t escapes = 0;  ///< symbols that one look-up did not give
};

inline constexpr int most_streams = 16;

/// Decodes on the first 5 of the streams in turns, so that each hides the others' latency, until
/// one stops in front of a block: its number. It has read one at least, or the rest of the one that
/// it was in. DC coefficients are differences.
///
/// Memory: of the scan at most longest_block and 8 bytes behind where a block begins; of a stream's
/// blocks one more than `end`, whose content is then any.
int advance(const Scan& scan, Stream* const* streams, int count);

}  // namespace ringfeed::decode
