#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ringfeed {

/// Where in the pipeline a failure happened.
enum class Stage : std::uint8_t { setup, scan, open, read, decode };

std::string_view to_string(Stage stage) noexcept;

/// An option that an error or the verdict points at, because another value of it would help.
enum class Option : std::uint8_t {
  none,
  batch_size,
  num_workers,
  prefetch_factor,
  rank,
  world_size,
  timeout,
  memory_limit,
  depth,
  read_ahead_bytes,
  max_file_bytes,
  max_pixels,
  max_scans,
  max_decoder_bytes,
  max_canvas_bytes,
  load_truncated,
  allow_empty,
  on_error,
  max_failures,
  retries,
};

/// What a user calls an option; never empty but for `none`. C++, Python and the command line each
/// have their own names, so that a message names nothing that its reader cannot set.
using OptionNames = std::string_view (*)(Option) noexcept;

/// The names in C++: fields of LoaderOptions, such as "limits.max_pixels", which ImageNetOptions
/// has too, and "ScanOptions::allow_empty".
std::string_view field_name(Option option) noexcept;

/// One failure as a value: what the per-sample path returns instead of throwing.
///
/// @code
/// const ringfeed::Error error{ringfeed::Stage::decode, 0, "n0/x.JPEG", "JPEG of over 500 scans",
///                             ringfeed::Option::max_scans};
/// std::cerr << error.message() << "\n";  // …; raise limits.max_scans to accept it, or …
/// @endcode
struct Error {
  Stage stage = Stage::setup;
  int code = 0;        ///< errno, or 0 where the kernel was not involved
  std::string path;    ///< the file concerned, as the user would open it
  std::string detail;  ///< what is wrong and, where no option would help, what to do about it
  Option option = Option::none;  ///< that stood in the way
  bool unidentified = false;     ///< Pillow would not know the file as an image either

  /// `detail`, and what to do with `option`. Here and in message() control characters are written
  /// out ("\x1b"), so that no file's name reaches a terminal as a command; `path` has them.
  std::string advice(OptionNames names = field_name) const;
  /// "decode: /data/train/n0/x.JPEG: truncated JPEG …": stage, path, errno and advice(); one line,
  /// no newline.
  std::string message(OptionNames names = field_name) const;
};

/// Thrown where options make no sense, alone or together. what() has the names in C++.
///
/// @code
/// const ringfeed::OptionError error("{} must be in [0, {})",
///                                   {ringfeed::Option::rank, ringfeed::Option::world_size});
/// std::cerr << error.what() << "\n";  // rank must be in [0, world_size)
/// @endcode
class OptionError : public std::invalid_argument {
 public:
  /// `text` has a "{}" for each of `options`.
  OptionError(std::string text, std::vector<Option> options);
  std::string message(OptionNames names = field_name) const;

 private:
  std::string text_;
  std::vector<Option> options_;
};

/// Thrown for set-up faults, and by Epoch::next() for the first failed sample of a batch.
class LoadError : public std::runtime_error {
 public:
  explicit LoadError(Error error);
  const Error& error() const noexcept { return error_; }

 private:
  Error error_;
};

/// Thrown by the consumer side where no batch has come within LoaderOptions::timeout.
class TimeoutError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace ringfeed
