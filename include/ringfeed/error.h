#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace ringfeed {

/// Where in the pipeline a failure happened.
enum class Stage : std::uint8_t { setup, scan, open, read, decode };

std::string_view to_string(Stage stage) noexcept;

/// One failure as a value: what the per-sample path returns instead of throwing.
struct Error {
  Stage stage = Stage::setup;
  int code = 0;        ///< errno, or 0 where the kernel was not involved
  std::string path;    ///< the file concerned, as the user would open it
  std::string detail;  ///< what is wrong and what to do about it

  /// "decode: /data/train/n0/x.JPEG: image file is truncated (…)": one line, no newline.
  std::string message() const;
};

/// Thrown for set-up faults, and by the consumer side for the first failed sample of a batch
/// under the `raise` policy.
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
