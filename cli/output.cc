#include "output.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/printable.h"

namespace ringfeed::cli {

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string human_bytes(double bytes) {
  static constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fixed(bytes, unit == 0 || bytes >= 10 ? 0 : 1) + " " + units[unit];
}

std::string human_count(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::ptrdiff_t at = std::ssize(text) - 3; at > 0; at -= 3) {
    text.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return text;
}

std::string human_micros(double micros) {
  if (micros < 1e3) return fixed(micros, 0) + " us";
  if (micros < 1e6) return fixed(micros / 1e3, 1) + " ms";
  return fixed(micros / 1e6, 1) + " s";
}

double per_second(double count, double seconds) noexcept {
  return seconds > 0 ? count / seconds : 0;
}

std::string Table::str() const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string gap(widths[i] - row[i].size(), ' ');
      line += (i == 0 ? "" : "  ") + (i == 0 ? row[i] + gap : gap + row[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

Progress::Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

bool Progress::due() noexcept {
  if (!terminal_) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return false;
  next_ = now + std::chrono::milliseconds(200);
  return true;
}

void Progress::show(std::string_view line) {
  if (!terminal_) return;
  shown_ = true;
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(line.size()), line.data());
  std::fflush(stderr);
}

std::string one_line(std::string_view text) {
  std::string line(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return printable(line);
}

void complain(std::string_view text) {
  std::fprintf(stderr, "ringfeed: %s\n", one_line(text).c_str());
}

std::string_view flag_name(Option option) noexcept {
  switch (option) {
    case Option::none: return "";
    case Option::batch_size: return "--batch-size";
    case Option::num_workers: return "--workers";
    case Option::prefetch_factor: return "--prefetch-factor";
    case Option::rank: return "--rank";
    case Option::world_size: return "--world-size";
    case Option::timeout: return "--timeout";
    case Option::memory_limit: return "--memory-limit";
    case Option::depth: return "--depth";
    case Option::read_ahead_bytes: return "--read-ahead-bytes";
    case Option::max_file_bytes: return "--max-file-bytes";
    case Option::max_pixels: return "--max-pixels";
    case Option::max_scans: return "--max-scans";
    case Option::max_decoder_bytes: return "--max-decoder-bytes";
    case Option::max_canvas_bytes: return "";  // no command has a plan that it bounds
    case Option::load_truncated: return "--load-truncated";
    case Option::allow_empty: return "--allow-empty";
    case Option::on_error: return "--on-error";
    case Option::max_failures: return "--max-failures";
    case Option::retries: return "--retries";
  }
  return "";
}

Json to_json(const Error& error) {
  return {{"stage", to_string(error.stage)},
          {"code", error.code},
          {"path", error.path},
          {"message", error.message(flag_name)}};
}

Json setup_error(std::string_view message) {
  return {{"stage", to_string(Stage::setup)}, {"code", 0}, {"path", ""}, {"message", message}};
}

void print_json(const Json& document) {
  // All but ASCII as \u....: U+009B is a terminal's command too.
  print_text(document.dump(2, ' ', true, Json::error_handler_t::replace) + "\n");
}

void print_text(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

bool flush_stdout() noexcept { return std::fflush(stdout) == 0 && std::ferror(stdout) == 0; }

}  // namespace ringfeed::cli
