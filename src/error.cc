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

namespace {

/// A path may hold line ends; a message is one line.
std::string on_one_line(const std::string& path) {
  std::string line;
  for (const char c : path) {
    if (c == '\n') {
      line += "\\n";
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

std::string Error::message() const {
  std::string text(to_string(stage));
  if (!path.empty()) text += ": " + on_one_line(path);
  if (code != 0) text += std::string(": ") + std::strerror(code);
  if (!detail.empty()) text += ": " + detail;
  return text;
}

LoadError::LoadError(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}

}  // namespace ringfeed
