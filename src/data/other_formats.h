#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "data/index.h"

namespace ringfeed::data {

/// Entries that are named as images of formats that are not decoded. A name only promises: the file
/// may be a JPEG.
struct OtherFormats {
  /// How many, by their ending in small letters: {".webp", 3}.
  std::map<std::string, std::size_t> counts;
  std::size_t first = 0;  ///< of the entries, where there is one

  /// "3 .bmp, 10 .webp"; empty for none.
  std::string text() const;
};

/// Among `entries`; nothing: all.
OtherFormats other_formats(const Index& index,
                           std::optional<std::span<const std::uint32_t>> entries = std::nullopt);

}  // namespace ringfeed::data
