#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "data/index.h"

namespace ringfeed::data {

/// How many of `entries` (nothing: all) are named as images of formats that are not decoded, by
/// their ending in small letters: {".webp", 3}. A name only promises: the file may be a JPEG.
std::map<std::string, std::size_t> other_formats(
    const Index& index, std::optional<std::span<const std::uint32_t>> entries = std::nullopt);

/// "3 .bmp, 10 .webp" of what other_formats() gave.
std::string to_text(const std::map<std::string, std::size_t>& formats);

}  // namespace ringfeed::data
