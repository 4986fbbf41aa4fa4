#pragma once

#include <cstdint>

#include "augment/canvas.h"

namespace ringfeed::augment {

/// A row of RGB triples, which kernel_slack bytes follow, into row y; from the top row down.
void set_rgb_row(Canvas& image, int y, const std::uint8_t* rgb);

/// Pixels [begin, begin + count) of row y as RGB triples; kernel_slack bytes behind them may be
/// written.
void get_rgb_row(const Canvas& image, int y, int begin, int count, std::uint8_t* rgb);

/// A planar row as RGB triples; kernel_slack bytes behind them may be written.
void to_rgb_row(const std::uint8_t* planar, int width, std::uint8_t* rgb);

}  // namespace ringfeed::augment
