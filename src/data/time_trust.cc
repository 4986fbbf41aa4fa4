#include "data/time_trust.h"

#include <fcntl.h>
#include <sys/statfs.h>

#include <algorithm>

#include "base/file_descriptor.h"
#include "ringfeed/error.h"

namespace ringfeed::data {
namespace {

constexpr std::int64_t second = 1'000'000'000;

std::int64_t latest(const Stamp& stamp) { return std::max(stamp.mtime_ns, stamp.ctime_ns); }

}  // namespace

bool times_tell(unsigned long file_system_magic) noexcept {
  constexpr unsigned long fuse = 0x65735546;  // FUSE_SUPER_MAGIC
  return (file_system_magic & 0xFFFFFFFF) != fuse;
}

std::string_view why_times_tell_nothing(const std::vector<Stamp>& stamps,
                                        std::int64_t now) noexcept {
  std::vector<const Stamp*> there;
  for (const Stamp& stamp : stamps) {
    if (stamp.inode != 0) there.push_back(&stamp);
  }
  const auto any = [&there](auto judge) { return std::any_of(there.begin(), there.end(), judge); };
  if (any([now](const Stamp* s) { return latest(*s) > now; })) {
    return "a folder's time lies in the future";
  }
  if (any([](const Stamp* s) { return latest(*s) <= 0; })) return "a folder has no time";
  // Where directories change by themselves their times differ, by nanoseconds at least.
  const bool one_time = !any([&there](const Stamp* s) {
    return s->mtime_ns != there[0]->mtime_ns || s->ctime_ns != there[0]->ctime_ns ||
           s->mtime_ns % second != 0 || s->ctime_ns % second != 0;
  });
  return there.size() > 1 && one_time ? "all folders have one and the same time" : "";
}

bool TrustedDevices::tell(std::uint64_t device, const std::string& path) {
  {
    const MutexLock lock(mutex_);
    if (trusted_.contains(device)) return true;
    if (doubted_.contains(device)) return false;
  }
  const FileDescriptor fd(
      openat(root_, path.empty() ? "." : path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct statfs info{};
  // What cannot be asked is as good as changed: the caller finds that out.
  const bool told =
      !fd || fstatfs(fd.get(), &info) != 0 || times_tell(static_cast<unsigned long>(info.f_type));
  const MutexLock lock(mutex_);
  (told ? trusted_ : doubted_).insert(device);
  return told;
}

std::string_view why_not_kept(const std::string& root, std::int64_t now) {
  const FileDescriptor fd(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return "";
  TrustedDevices devices(fd.get());
  std::vector<Stamp> stamps;
  try {
    const Listing listing = list_directory(fd.get(), "", root);
    if (!devices.tell(listing.device, "")) return made_up_times;
    stamps.push_back(listing.stamp);
    for (const DirectoryEntry& entry : listing.entries) {
      if (entry.kind != EntryKind::directory) continue;
      const Found found = find(fd.get(), entry.name);
      if (!devices.tell(found.device, entry.name)) return made_up_times;
      stamps.push_back(found.stamp);
    }
  } catch (const LoadError&) {  // whoever lists it will say so
  }
  return why_times_tell_nothing(stamps, now);
}

}  // namespace ringfeed::data
