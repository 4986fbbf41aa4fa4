#pragma once

#include "decode/jpeg/entropy/streams.h"

namespace ringfeed::decode {

/// Whether this CPU has what advance_lanes() needs: AVX-512 with VBMI2 (Intel from Ice Lake, AMD
/// from Zen 4).
bool has_lanes();

inline constexpr int most_lanes = 16;
/// For fewer of them advance() is faster.
inline constexpr int fewest_lanes = 8;

/// Decodes on all of the streams at once, a symbol of each a step, in the lanes of vectors. A
/// stream stops where it would under advance(); when fewer than fewest_lanes are left, these become
/// the first of `streams`: their number. advance() can go on with them, in the middle of a block or
/// not. Does nothing where has_lanes() is false.
///
/// Memory: as advance(). What lies between a stream's last block and its `end` becomes any.
int advance_lanes(const Scan& scan, Stream** streams, int count);

}  // namespace ringfeed::decode
