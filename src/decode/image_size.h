#pragma once

#include <cstddef>
#include <span>
#include <tl/expected.hpp>

#include "decode/failure.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {

struct ImageSize {
  int height = 0, width = 0;
};

/// The size of the JPEG or PNG that begins with these bytes, or the failure that decoding it would
/// begin with. Failure::truncated: the header goes on behind them.
tl::expected<ImageSize, Failure> image_size(std::span<const std::byte> beginning,
                                            const DecodeLimits& limits);

}  // namespace ringfeed::decode
