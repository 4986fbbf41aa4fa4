#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ringfeed::decode {

/// An encoded file or a part of one, in the type that libjpeg and libpng take.
using Bytes = std::span<const std::uint8_t>;

inline Bytes to_bytes(std::span<const std::byte> file) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(file.data()), file.size()};
}

}  // namespace ringfeed::decode
