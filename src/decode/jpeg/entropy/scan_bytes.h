#pragma once

#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "decode/bytes.h"

namespace ringfeed::decode {

/// The bytes of a scan without the zeros that are stuffed behind each 0xFF, a window of them at a
/// time.
class ScanBytes {
 public:
  /// Readable bytes behind ready(), zeros at the scan's end.
  static constexpr std::size_t padding = 288;

  /// A window of `most` bytes, at least 1. False if anything but stuffed bytes stands in front of
  /// EOI, restart markers and fill bytes included. Some 9 us per 100 KB.
  bool open(Bytes scan, std::size_t most);

  const std::uint8_t* data() const noexcept { return bytes_.data(); }
  std::size_t ready() const noexcept { return ready_; }
  /// Of the file behind the window, stuffed zeros included; 0: the window ends with the scan.
  std::size_t unread() const noexcept { return static_cast<std::size_t>(end_ - behind_); }

  /// The window begins `count` bytes later.
  void skip(std::size_t count);

  static constexpr std::size_t memory_bound(std::size_t most) noexcept { return most + padding; }

 private:
  void fill();

  AlignedVector<std::uint8_t> bytes_;
  std::size_t ready_ = 0, most_ = 0;
  const std::uint8_t* behind_ = nullptr;  ///< the file's first byte behind the window
  const std::uint8_t* end_ = nullptr;     ///< EOI
};

}  // namespace ringfeed::decode
