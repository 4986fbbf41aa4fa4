#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <string>

#include "base/printable.h"

namespace ringfeed::io {

// What errors of reading say, whichever way a file is read.

/// Of a file whose open has failed.
inline std::string about_open(int code) {
  if (code == ENXIO) return "a socket or device, not a regular file; leave it out of the dataset";
  return "check that the file exists and may be read";
}

/// Of one whose read has, `read` bytes into it.
inline std::string about_read(int code, std::size_t read) {
  if (code == EISDIR) return "a directory, not a file; leave it out of the dataset";
  if (code == ESPIPE) return "a FIFO or device, not a regular file; leave it out of the dataset";
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
