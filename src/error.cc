#include "ringfeed/error.h"

#include <cstring>
#include <utility>

namespace ringfeed {

std::string_view to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::setup: return "setup";
    case Stage::scan: return "scan";
    case Stage::open: return "open";
    case Stage::read: return "read";
    case Stage::decode: return "decode";
  }
  return "unknown";
}

std::string Error::message() const {
  std::string text(to_string(stage));
  if (!path.empty()) text += ": " + path;
  if (code != 0) text += std::string(": ") + std::strerror(code);
  if (!detail.empty()) text += ": " + detail;
  return text;
}

LoadError::LoadError(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}

}  // namespace ringfeed
