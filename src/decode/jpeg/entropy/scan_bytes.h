#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "decode/bytes.h"

namespace ringfeed::decode {

/// The bytes of a scan without the zeros that are stuffed behind each 0xFF, and without its restart
/// markers, a window of them at a time. An interval is what lies between two restarts: the whole
/// scan where there are none.
class ScanBytes {
 public:
  /// Readable bytes behind ready(), zeros at the scan's end.
  static constexpr std::size_t padding = 288;

  /// A window of `most` bytes, at least 1. False if anything but stuffed bytes and `restarts`
  /// markers in their order stands in front of EOI, fill bytes included. Some 9 us per 100 KB.
  bool open(Bytes scan, std::size_t most, std::uint32_t restarts);

  const std::uint8_t* data() const noexcept { return bytes_.data(); }
  std::size_t ready() const noexcept { return ready_; }
  /// Of the file behind the window, stuffed zeros included; 0: the window ends with the scan.
  std::size_t unread() const noexcept { return static_cast<std::size_t>(end_ - behind_); }

  /// Intervals that end in the window, and where.
  std::size_t intervals() const noexcept { return restarts_ready_ + (unread() == 0); }
  std::size_t end_of(std::size_t interval) const noexcept {
    return interval < restarts_ready_ ? ends_[interval] : ready_;
  }

  /// The window begins `count` bytes later, so many intervals later.
  void skip(std::size_t count, std::size_t intervals);

  static constexpr std::size_t memory_bound(std::size_t most) noexcept { return most + padding; }

 private:
  /// Restarts in a window: more end it before it is full.
  static constexpr std::size_t most_restarts = 2048;

  bool is_restart(const std::uint8_t* at, std::uint32_t number) const;
  void fill();

  AlignedVector<std::uint8_t> bytes_;
  std::size_t ready_ = 0, most_ = 0;
  const std::uint8_t* behind_ = nullptr;  ///< the file's first byte behind the window
  const std::uint8_t* end_ = nullptr;     ///< EOI
  std::array<std::uint32_t, most_restarts> ends_;
  std::size_t restarts_ready_ = 0;
  std::uint32_t restarts_ = 0, restarts_read_ = 0;
};

}  // namespace ringfeed::decode
