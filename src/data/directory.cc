#include "data/directory.h"

#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <memory>

#include "base/file_descriptor.h"

namespace ringfeed::data {
namespace {

std::int64_t nanoseconds(const timespec& t) noexcept {
  return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

const char* below_root(const std::string& path) noexcept {
  return path.empty() ? "." : path.c_str();
}

struct CloseDirectory {
  void operator()(DIR* stream) const noexcept { closedir(stream); }
};

[[noreturn]] void fail_scan(int code, const std::string& path, const std::string& detail) {
  throw LoadError(Error{Stage::scan, code, path, detail});
}

// torchvision passes over what it cannot list. A training run on part of the data, with nobody
// told, costs more than an error; so here and in `kind_of` it is one.
constexpr const char* unlistable = "cannot list this directory";

EntryKind kind_of(mode_t mode) noexcept {
  if (S_ISDIR(mode)) return EntryKind::directory;
  if (S_ISREG(mode)) return EntryKind::file;
  return EntryKind::special;
}

EntryKind kind_of(int directory, const dirent& entry, const std::string& shown) {
  switch (entry.d_type) {
    case DT_REG: return EntryKind::file;
    case DT_DIR: return EntryKind::directory;
    case DT_LNK:
    case DT_UNKNOWN: break;
    default: return EntryKind::special;
  }
  struct stat status;
  if (fstatat(directory, entry.d_name, &status, 0) == 0) return kind_of(status.st_mode);
  const int code = errno;
  if (code == ENOENT || code == ENOTDIR) return EntryKind::dangling;
  fail_scan(code, shown + '/' + entry.d_name,
            code == ELOOP ? "a link that leads to itself" : "cannot tell file from directory");
}

}  // namespace

Stamp::Stamp(const struct stat& status) noexcept
    : inode(status.st_ino),
      mtime_ns(nanoseconds(status.st_mtim)),
      ctime_ns(nanoseconds(status.st_ctim)) {}

Listing list_directory(int root, const std::string& path, const std::string& shown) {
  FileDescriptor fd(openat(root, below_root(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) fail_scan(errno, shown, unlistable);
  struct stat status;
  if (fstat(fd.get(), &status) != 0) fail_scan(errno, shown, unlistable);
  Listing listing{status.st_dev, Stamp(status), {}};

  const std::unique_ptr<DIR, CloseDirectory> stream(fdopendir(fd.get()));
  if (stream == nullptr) fail_scan(errno, shown, unlistable);
  const int directory = fd.release();
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) {
      if (errno == 0) return listing;
      if (errno == EINTR) continue;
      fail_scan(errno, shown, unlistable);
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    listing.entries.push_back({name, kind_of(directory, *entry, shown)});
  }
}

Found find(int root, const std::string& path) noexcept {
  struct stat status;
  if (fstatat(root, below_root(path), &status, 0) != 0) return {};
  return {status.st_dev, Stamp(status)};
}

}  // namespace ringfeed::data
