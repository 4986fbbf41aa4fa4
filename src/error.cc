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

std::string_view field_name(Option option) noexcept {
  switch (option) {
    case Option::none: return "";
    case Option::num_workers: return "LoaderOptions::num_workers";
    case Option::depth: return "LoaderOptions::depth";
    case Option::read_ahead_bytes: return "LoaderOptions::read_ahead_bytes";
    case Option::max_file_bytes: return "LoaderOptions::max_file_bytes";
    case Option::max_pixels: return "LoaderOptions::limits.max_pixels";
    case Option::max_scans: return "LoaderOptions::limits.max_scans";
    case Option::max_decoder_bytes: return "LoaderOptions::limits.max_decoder_bytes";
    case Option::load_truncated: return "LoaderOptions::limits.load_truncated";
  }
  return "";
}

std::string Error::advice(OptionNames names) const {
  const std::string name(names(option));
  switch (option) {
    case Option::depth: return detail + ", or lower " + name;
    case Option::max_file_bytes:
    case Option::max_pixels:
    case Option::max_scans:
    case Option::max_decoder_bytes:
      return detail + "; raise " + name + " to accept it, or remove the file";
    case Option::load_truncated:
      return detail + "; fetch the file again, or set " + name + " to accept it";
    case Option::none:  // no option helps, or what an error never names
    case Option::num_workers:
    case Option::read_ahead_bytes: break;
  }
  return detail;
}

std::string Error::message(OptionNames names) const {
  std::string text(to_string(stage));
  if (!path.empty()) text += ": " + on_one_line(path);
  if (code != 0) text += std::string(": ") + std::strerror(code);
  if (!detail.empty()) text += ": " + advice(names);
  return text;
}

LoadError::LoadError(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}

}  // namespace ringfeed
