#include "ringfeed/shape.h"

namespace ringfeed {

std::string_view to_string(PaddingMode mode) noexcept {
  for (const auto& [name, value] : padding_modes) {
    if (value == mode) return name;
  }
  return "unknown";
}

}  // namespace ringfeed
