#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ringfeed/dataset.h"

namespace ringfeed::data {

/// What ImageFolder shares: every entry in torchvision's order, names packed in one blob.
/// The rest of the layout is for src/data/index.cc to choose (≤ 120 MB for 1,281,167 entries).
class Index {
 public:
  std::size_t size() const noexcept;
  std::int64_t label(std::size_t entry) const noexcept;
  /// Writes the path below root(), NUL-terminated, into `out` (capacity reused; no allocation in
  /// steady state).
  void relative_path(std::size_t entry, std::string& out) const;
  const std::string& root() const noexcept;
  /// False where the listing said FIFO, socket or device: such an entry is an error, never opened.
  bool regular(std::size_t entry) const noexcept;
};

}  // namespace ringfeed::data
