#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/memory_room.h"

namespace ringfeed::cli {

enum class Severity : std::uint8_t { ok, note, warn };

/// One thing found out about this machine or path.
struct Finding {
  std::string subject;
  Severity severity = Severity::ok;
  std::string value;
  std::string advice;  ///< what to do about it; empty where there is nothing to do
};
using Findings = std::vector<Finding>;

/// Kernel version, io_uring and why not, its features, the reader that loaders take.
Findings check_kernel();
/// Threads, descriptors, locked memory and CPU time this process may have.
Findings check_limits();
/// The memory that there is, and what a loader with its defaults makes of it.
Findings check_memory(const std::optional<pipeline::MemoryRoom>& room);
/// CPU targets and the libraries built in.
Findings check_build();
/// The file system `path` is on; a folder is probed by the first file found in it.
/// Throws LoadError where there is nothing to probe.
Findings check_path(const std::string& path);

/// First line of a file, or nothing where it cannot be read.
std::string first_line(const std::string& path);

}  // namespace ringfeed::cli
