#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "ringfeed/error.h"

namespace ringfeed::data {

/// What tells whether a directory is the one that was listed, unchanged since.
struct Stamp {
  std::uint64_t inode = 0;  ///< 0: there is nothing
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;

  explicit Stamp(const struct stat& status) noexcept;
  Stamp() = default;
  bool operator==(const Stamp&) const = default;
};

enum class EntryKind : std::uint8_t {
  file,
  directory,
  special,   ///< FIFO, socket or device
  dangling,  ///< a link to nothing
};

struct DirectoryEntry {
  std::string name;
  EntryKind kind;
};

struct Listing {
  std::uint64_t device = 0;
  Stamp stamp;  ///< from before the listing, so that a change during it shows later
  std::vector<DirectoryEntry> entries;
};

/// Lists `path` below the directory `root`, links followed; "" lists the root itself. Only links
/// and entries whose type the file system does not tell are stat'ed: a stat is a network round
/// trip an image. Throws LoadError (stage scan) with `shown`, the path as the user would write it.
Listing list_directory(int root, const std::string& path, const std::string& shown);

struct Found {
  std::uint64_t device = 0;
  Stamp stamp;  ///< inode 0 where there is nothing or it cannot be told
};

/// What `path` below `root` is now.
Found find(int root, const std::string& path) noexcept;

}  // namespace ringfeed::data
