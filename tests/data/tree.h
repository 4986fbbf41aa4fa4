#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "data/open_index.h"
#include "ringfeed/error.h"

namespace ringfeed::testing {

inline void make_file(const std::filesystem::path& path, const std::string& content = "") {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

/// An hour from now, when all a test has made has long settled.
inline std::int64_t later() {
  const auto now = std::chrono::system_clock::now() + std::chrono::hours(1);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
}

inline std::int64_t just_now() { return later() - std::int64_t{3600} * 1'000'000'000; }

/// Dates a directory back, so that its next change shows however coarse the file system's clock.
inline void date_back(const std::filesystem::path& directory) {
  const timespec times[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  utimensat(AT_FDCWD, directory.c_str(), times, 0);
}

inline ScanOptions without_cache() {
  ScanOptions options;
  options.use_cache = false;
  return options;
}

inline ScanOptions with_cache(const std::filesystem::path& directory) {
  ScanOptions options;
  options.cache_dir = directory;
  return options;
}

inline std::vector<std::string> relative_paths(const data::Index& index) {
  std::vector<std::string> paths(index.size());
  for (std::size_t i = 0; i < index.size(); ++i) index.relative_path(i, paths[i]);
  return paths;
}

/// The error opening `root` throws; empty where it throws none.
inline std::string scan_error(const std::filesystem::path& root,
                              const ScanOptions& options = without_cache()) {
  try {
    data::open_index(root, options, later);
  } catch (const LoadError& error) {
    return error.error().stage == Stage::scan ? error.what() : "another stage's";
  }
  return "";
}

}  // namespace ringfeed::testing
