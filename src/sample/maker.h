#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "data/random.h"
#include "decode/failure.h"

namespace ringfeed::sample {

/// Makes samples on one decode thread; handed to each coroutine that runs there. SampleMaker, or
/// the tests' own.
class Maker {
 public:
  virtual ~Maker() = default;
  /// Encoded file -> the sample at `position`, written to `out`. On failure `out` holds garbage.
  virtual tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded,
                                                   data::Key key, std::uint64_t position,
                                                   std::byte* out) = 0;
};

}  // namespace ringfeed::sample
