#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "data/directory.h"

namespace ringfeed::data {

// Whether the times of directories tell that a tree has changed since it was listed. Where they do
// not, a kept listing would hide new files from every later run.

/// False for FUSE: what mounts object stores so makes directory times up (of the mount, of the
/// moment, or none), and nothing tells such a mount from one that keeps them.
bool times_tell(unsigned long file_system_magic) noexcept;

/// Why the directories' times, taken together, tell nothing: one lies after `now` (nanoseconds
/// since 1970), one is 1970 or before, or all are the same whole second, as an image file system
/// or a mount has them. Empty where they tell. `stamps` without an inode are passed over.
std::string_view why_times_tell_nothing(const std::vector<Stamp>& stamps,
                                        std::int64_t now) noexcept;

/// times_tell() of the file systems below one root, asked once a device: on some it is a round
/// trip. Any thread.
class TrustedDevices {
 public:
  /// `root`: the open directory that paths start from.
  explicit TrustedDevices(int root) : root_(root) {}
  /// Of the directory `path` below the root, which is on `device`.
  bool tell(std::uint64_t device, const std::string& path);

 private:
  const int root_;
  Mutex mutex_;
  std::set<std::uint64_t> trusted_ GUARDED_BY(mutex_), doubted_ GUARDED_BY(mutex_);
};

/// What a report says of a device that tell() denies.
inline constexpr std::string_view made_up_times = "a FUSE file system may make folder times up";

/// Why a listing of `root` would not be kept, from the root and the folders in it; empty where it
/// would be, or where `root` is no folder.
std::string_view why_not_kept(const std::string& root, std::int64_t now);

}  // namespace ringfeed::data
