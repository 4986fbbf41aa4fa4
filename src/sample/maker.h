#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "data/random.h"
#include "decode/failure.h"
#include "ringfeed/batch.h"

namespace ringfeed::sample {

/// Where a sample goes: row `row` of each view in a batch's memory.
struct Destination {
  std::byte* memory;
  std::span<const BatchView> views;
  std::size_t row = 0;

  std::byte* of(std::size_t view) const noexcept {
    return memory + views[view].offset + row * views[view].sample_bytes();
  }
};

/// Makes samples on one decode thread; handed to each coroutine that runs there. SampleMaker, or
/// the tests' own.
class Maker {
 public:
  virtual ~Maker() = default;
  /// The bytes that make() of this sample takes of the Reserve, beside what stays between images; 0
  /// where it will fail before that.
  virtual std::size_t need(std::span<const std::byte> encoded, data::Key key,
                           std::uint64_t position) = 0;
  /// Encoded file -> every view of the sample at `position`, written to `to`. On failure garbage
  /// stands there.
  virtual tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded,
                                                   data::Key key, std::uint64_t position,
                                                   const Destination& to) = 0;
};

}  // namespace ringfeed::sample
