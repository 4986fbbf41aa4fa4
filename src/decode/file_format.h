#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"

namespace ringfeed::decode {

enum class Format : std::uint8_t { jpeg, png };

/// Told by a file's first bytes; of one that is neither, what it is instead.
tl::expected<Format, Failure> file_format(Bytes file);

/// Whether a file that begins so is of that format.
bool starts_as(Format format, Bytes file) noexcept;

/// True if `tail` (the last bytes of a file, at least 1 KiB where the file has them) looks like
/// the end of a whole JPEG (EOI) or PNG (IEND). Cheap; called on the reader thread.
bool ends_cleanly(std::span<const std::byte> tail) noexcept;

}  // namespace ringfeed::decode
