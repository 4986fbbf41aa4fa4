#pragma once

#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "decode/failure.h"

namespace ringfeed::decode {

enum class Format : std::uint8_t { jpeg, png };

/// Told by a file's first bytes; of one that is neither, what it is instead.
tl::expected<Format, Failure> file_format(std::span<const std::uint8_t> file);

}  // namespace ringfeed::decode
