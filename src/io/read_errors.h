#pragma once

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

#include "base/printable.h"

namespace ringfeed::io {

// What errors of reading say, whichever way a file is read.

inline constexpr const char* check_that_it_exists = "check that the file exists and may be read";

inline std::string after_bytes(std::size_t read) {
  return "after " + std::to_string(read) + " bytes";
}

inline std::string larger_than(std::size_t bytes) {
  return "larger than " + std::to_string(bytes) + " bytes";
}

/// "name.jpg (1.5 s)"
inline std::string since(const std::string& path, std::chrono::duration<double> time) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, " (%.1f s)", time.count());
  return printable(path) + seconds;
}

}  // namespace ringfeed::io
