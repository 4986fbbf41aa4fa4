#pragma once

#include <cstdint>
#include <string_view>

namespace ringfeed::decode {

/// Whose code reads the bits of a JPEG's scan. The pixels do not depend on it.
enum class EntropyBackend : std::uint8_t {
  libjpeg,
  streams,  ///< several readers of one scan in turns, portable
};

}  // namespace ringfeed::decode
