#pragma once

#include <cstddef>
#include <string>

namespace ringfeed::io {

// What errors of reading say, whichever way a file is read.

inline constexpr const char* check_that_it_exists = "check that the file exists and may be read";

inline std::string after_bytes(std::size_t read) {
  return "after " + std::to_string(read) + " bytes";
}

inline std::string larger_than(std::size_t bytes) {
  return "larger than " + std::to_string(bytes) + " bytes";
}

}  // namespace ringfeed::io
