#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ringfeed/error.h"

namespace ringfeed::cli {

/// Keys keep the order in which they were written.
using Json = nlohmann::ordered_json;

/// "1.5 GiB", "97 KiB", "12 B".
std::string human_bytes(double bytes);
/// "1,281,167".
std::string human_count(std::uint64_t count);
/// Microseconds in the unit that suits: "850 us", "41.5 ms", "2.0 s".
std::string human_micros(double micros);
std::string fixed(double value, int digits);
/// `count` over `seconds`, 0 where no time has passed.
double per_second(double count, double seconds) noexcept;

/// Columns as wide as their widest cell; the first is flush left, the others flush right.
class Table {
 public:
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::string str() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// One line on stderr that is rewritten in place, at most five times a second, and only where
/// stderr is a terminal. Destruction wipes it.
class Progress {
 public:
  Progress();
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True when it is time for another line; makes composing one cheap to skip.
  bool due() noexcept;
  void show(std::string_view line);

 private:
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point next_{};
};

/// `text` on one line: line breaks become blanks, other control characters are written out.
std::string one_line(std::string_view text);
/// "ringfeed: <text>" as one line on stderr.
void complain(std::string_view text);

/// The command line's names of options: "--max-pixels".
std::string_view flag_name(Option option) noexcept;
/// {"stage", "code", "path", "message"} of a failure.
Json to_json(const Error& error);
/// The same of an error that no file or stage is at the root of.
Json setup_error(std::string_view message);

/// The one document of a `--json` run, in ASCII. File names that are not UTF-8 come out with
/// U+FFFD.
void print_json(const Json& document);
void print_text(std::string_view text);
/// False where stdout did not take everything (a full disk, a closed pipe).
bool flush_stdout() noexcept;

}  // namespace ringfeed::cli
