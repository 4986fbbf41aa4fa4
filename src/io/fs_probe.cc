#include "io/fs_probe.h"

#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>

#include "base/file_descriptor.h"

namespace ringfeed::io {
namespace {

struct Known {
  unsigned long magic;
  const char* name;
  bool local;  ///< opens with a cached name need no server
};

// linux/magic.h where it is listed there; the others from their own sources.
constexpr Known known[] = {
    {0xEF53, "ext4", true},         {0x58465342, "xfs", true},      {0x9123683E, "btrfs", true},
    {0xF2F52010, "f2fs", true},     {0x01021994, "tmpfs", true},    {0x858458F6, "ramfs", true},
    {0x73717368, "squashfs", true}, {0xE0F5E1E2, "erofs", true},    {0x2FC12FC1, "zfs", true},
    {0xCA451A4E, "bcachefs", true}, {0x794C7630, "overlay", false}, {0x6969, "nfs", false},
    {0x0BD00BD0, "lustre", false},  {0x65735546, "fuse", false},    {0x00C36400, "ceph", false},
    {0x47504653, "gpfs", false},    {0x01021997, "9p", false},      {0xFF534D42, "cifs", false},
    {0xFE534D42, "smb2", false},    {0x517B, "smb", false},         {0x5346414F, "afs", false},
    {0x19830326, "beegfs", false},  {0xAAD7AAEA, "panfs", false},   {0x6B414653, "afs", false},
    {0x9FA0, "proc", true},         {0x62656572, "sysfs", true},
};

const Known* find(unsigned long magic) {
  const auto* found = std::find_if(std::begin(known), std::end(known),
                                   [&](const Known& k) { return k.magic == magic; });
  return found == std::end(known) ? nullptr : found;
}

bool local_type(std::string_view name) {
  return std::any_of(std::begin(known), std::end(known), [&](const Known& k) {
    return k.local && (name == k.name || (name.starts_with("ext") && k.magic == 0xEF53));
  });
}

std::string_view next_field(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return field;
}

void add_detail(FsProbe& probe, const char* what, int error) {
  if (!probe.detail.empty()) probe.detail += "; ";
  probe.detail += std::string(what) + ": " + std::strerror(error);
}

void probe_nowait(int fd, FsProbe& probe) {
  std::byte byte{};
  iovec part{&byte, 1};
  // EAGAIN: accepted, but the page is not cached.
  if (::preadv2(fd, &part, 1, 0, RWF_NOWAIT) >= 0 || errno == EAGAIN) {
    probe.nowait_reads = true;
  } else if (errno != EOPNOTSUPP) {
    add_detail(probe, "preadv2(RWF_NOWAIT)", errno);
  }
}

}  // namespace

std::string file_system_name(unsigned long magic) {
  if (const Known* k = find(magic)) return k->name;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%lX", magic);
  return text.data();
}

FsProbe probe_file_system(const std::string& file) {
  FsProbe probe;
  const FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) {
    add_detail(probe, "open", errno);
    return probe;
  }
  struct statfs info{};
  if (::fstatfs(fd.get(), &info) == 0) {
    probe.type = file_system_name(static_cast<unsigned long>(info.f_type) & 0xFFFFFFFF);
  } else {
    add_detail(probe, "statfs", errno);
  }
  probe_nowait(fd.get(), probe);
  const FileDescriptor direct(::open(file.c_str(), O_RDONLY | O_DIRECT | O_NONBLOCK | O_CLOEXEC));
  if (direct.get() >= 0) {
    probe.direct_io = true;
  } else if (errno != EINVAL) {
    add_detail(probe, "open(O_DIRECT)", errno);
  }
  return probe;
}

bool remote_mount_below(std::string_view root, std::string_view mountinfo) {
  while (root.ends_with('/')) root.remove_suffix(1);
  while (!mountinfo.empty()) {
    const std::size_t end = std::min(mountinfo.find('\n'), mountinfo.size());
    std::string_view line = mountinfo.substr(0, end);
    mountinfo.remove_prefix(std::min(end + 1, mountinfo.size()));
    for (int skipped = 0; skipped < 4; ++skipped) next_field(line);  // ids, device, its root
    const std::string_view point = next_field(line);
    const std::size_t type = line.find(" - ");  // after the optional fields
    if (type == std::string_view::npos) continue;
    line.remove_prefix(type + 3);
    const bool below =
        point.starts_with(root) && (point.size() == root.size() || point[root.size()] == '/');
    if (below && !local_type(next_field(line))) return true;
  }
  return false;
}

bool opens_may_block(const std::string& root) {
  const std::unique_ptr<char, void (*)(void*)> path(::realpath(root.c_str(), nullptr), std::free);
  struct statfs info{};
  if (!path || ::statfs(path.get(), &info) != 0) return true;
  const Known* type = find(static_cast<unsigned long>(info.f_type) & 0xFFFFFFFF);
  if (type == nullptr || !type->local) return true;
  std::ifstream file("/proc/self/mountinfo");
  const std::string mounts{std::istreambuf_iterator<char>(file), {}};
  return remote_mount_below(path.get(), mounts);
}

}  // namespace ringfeed::io
