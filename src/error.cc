#include "ringfeed/error.h"

#include <cstring>
#include <utility>

#include "base/printable.h"

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

/// `text` with a name in the place of each "{}".
std::string filled_in(std::string_view text, const std::vector<Option>& options,
                      OptionNames names) {
  std::string filled;
  for (const Option option : options) {
    const std::size_t at = text.find("{}");
    if (at == text.npos) break;  // more options than the text has room for
    filled.append(text.substr(0, at)).append(names(option));
    text.remove_prefix(at + 2);
  }
  return filled.append(text);
}

}  // namespace

std::string_view field_name(Option option) noexcept {
  switch (option) {
    case Option::none: return "";
    case Option::batch_size: return "batch_size";
    case Option::num_workers: return "num_workers";
    case Option::prefetch_factor: return "prefetch_factor";
    case Option::rank: return "rank";
    case Option::world_size: return "world_size";
    case Option::timeout: return "timeout";
    case Option::memory_limit: return "memory_limit";
    case Option::depth: return "depth";
    case Option::read_ahead_bytes: return "read_ahead_bytes";
    case Option::max_file_bytes: return "max_file_bytes";
    case Option::max_pixels: return "limits.max_pixels";
    case Option::max_scans: return "limits.max_scans";
    case Option::max_decoder_bytes: return "limits.max_decoder_bytes";
    case Option::max_canvas_bytes: return "limits.max_canvas_bytes";
    case Option::load_truncated: return "limits.load_truncated";
    case Option::allow_empty: return "ScanOptions::allow_empty";
    case Option::on_error: return "on_error";
    case Option::max_failures: return "max_failures";
    case Option::retries: return "retries";
  }
  return "";
}

std::string Error::advice(OptionNames names) const {
  const std::string name(names(option)), what = printable(detail);
  switch (option) {
    case Option::depth:
    case Option::num_workers: return what + ", or lower " + name;
    case Option::max_file_bytes:
    case Option::max_pixels:
    case Option::max_scans:
    case Option::max_decoder_bytes:
    case Option::max_canvas_bytes:
      return what + "; raise " + name + " to accept it, or remove the file";
    case Option::load_truncated:
      return what + "; fetch the file again, or set " + name + " to accept it";
    case Option::allow_empty: return what + "; " + name + " accepts such classes";
    case Option::max_failures: return what + "; raise " + name + ", or remove these files";
    case Option::none:
    case Option::batch_size:
    case Option::prefetch_factor:
    case Option::rank:
    case Option::world_size:
    case Option::timeout:
    case Option::memory_limit:
    case Option::read_ahead_bytes:
    case Option::on_error:
    case Option::retries: break;  // no file's fault: OptionError and the verdict name them
  }
  return what;
}

std::string Error::message(OptionNames names) const {
  std::string text(to_string(stage));
  if (!path.empty()) text += ": " + printable(path);
  if (code != 0) text += std::string(": ") + std::strerror(code);
  if (!detail.empty()) text += ": " + advice(names);
  return text;
}

OptionError::OptionError(std::string text, std::vector<Option> options)
    : std::invalid_argument(filled_in(text, options, field_name)),
      text_(std::move(text)),
      options_(std::move(options)) {}

std::string OptionError::message(OptionNames names) const {
  return filled_in(text_, options_, names);
}

LoadError::LoadError(Error error) : std::runtime_error(error.message()), error_(std::move(error)) {}

}  // namespace ringfeed
