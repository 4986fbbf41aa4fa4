#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "decode/row_sink.h"

namespace ringfeed::decode {

/// One row of pixels that libjpeg writes and the resize reads straight back.
class ScratchRow {
 public:
  /// At least `bytes` bytes and row_slack readable ones behind them; old content is
  /// lost. The address is 64k + 16, never a multiple of 32: there libjpeg-turbo's AVX2 colour
  /// conversion uses non-temporal stores, and reading the row back costs 180 us an image.
  std::uint8_t* reserve(std::size_t bytes) {
    const std::size_t needed = bytes + overhead;
    if (storage_.size() < needed) {
      storage_ = std::vector<std::uint8_t>();  // never two of them
      storage_.resize(needed);
    }
    const auto address = reinterpret_cast<std::uintptr_t>(storage_.data());
    return storage_.data() + (alignment - address % alignment) % alignment + offset;
  }

  /// The most bytes held after reserve() of at most `bytes`.
  static constexpr std::size_t memory_bound(std::size_t bytes) { return bytes + overhead + 16; }

 private:
  static constexpr std::size_t alignment = 64, offset = 16;
  static constexpr std::size_t overhead = row_slack + alignment + offset;
  std::vector<std::uint8_t> storage_;
};

}  // namespace ringfeed::decode
