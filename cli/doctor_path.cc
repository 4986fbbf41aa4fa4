#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>

#include "data/time_trust.h"
#include "doctor.h"
#include "io/fs_probe.h"
#include "ringfeed/error.h"

namespace ringfeed::cli {
namespace {

/// A line of /proc/self/mountinfo.
struct Mount {
  std::string point, type, source, options;
};

/// The mount that `path` is reached through: the longest mount point that is a prefix of it.
Mount mount_of(const std::string& path) {
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  Mount best;
  std::ifstream table("/proc/self/mountinfo");
  for (std::string line; std::getline(table, line);) {
    std::istringstream fields(line);
    std::string skip, point, field, type, source, options;
    fields >> skip >> skip >> skip >> skip >> point >> skip;
    while (fields >> field && field != "-") {
    }
    fields >> type >> source >> options;
    const bool covers = point == "/" || real == point || real.starts_with(point + "/");
    if (covers && point.size() >= best.point.size()) best = {point, type, source, options};
  }
  return best;
}

/// `path` itself, or the first regular file below it.
std::string file_to_probe(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    throw LoadError({Stage::open, errno, path, "give a dataset or one of its files"});
  }
  if (S_ISREG(info.st_mode)) return path;
  std::error_code error;
  using Options = std::filesystem::directory_options;
  for (std::filesystem::recursive_directory_iterator
           at(path, Options::follow_directory_symlink | Options::skip_permission_denied, error),
       end;
       !error && at != end; at.increment(error)) {
    if (at->is_regular_file(error) && ::access(at->path().c_str(), R_OK) == 0) {
      return at->path().string();
    }
  }
  throw LoadError({Stage::open, 0, path, "no readable file below it to probe"});
}

Finding check_nowait(const io::FsProbe& probe) {
  if (probe.nowait_reads) {
    return {"asynchronous reads", Severity::ok, "NOWAIT accepted: reads need no kernel threads",
            ""};
  }
  return {"asynchronous reads", Severity::note, "NOWAIT refused: every read in flight is a thread",
          "io_uring is a kernel-side thread pool here: throughput is that of the pread pool, and "
          "depth is the whole gain; leave --depth at 0 and see that pids.max allows 1,280"};
}

Finding check_direct(const io::FsProbe& probe) {
  if (probe.direct_io) return {"O_DIRECT", Severity::ok, "accepted", ""};
  return {"O_DIRECT", Severity::ok, "refused", "buffered reads are the default and work"};
}

/// Both limits together throttle a FUSE mount and switch its readahead off: 472 files/s against
/// 3,124 with both raised (64 KiB files, 20 ms a request); raising the first alone did nothing.
Findings check_fuse(const std::string& file) {
  struct stat info{};
  ::stat(file.c_str(), &info);
  const std::string folder = "/sys/fs/fuse/connections/" + std::to_string(minor(info.st_dev));
  Findings findings;
  for (const char* name : {"max_background", "congestion_threshold"}) {
    const std::string path = folder + "/" + name;
    const std::string value = first_line(path);
    if (value.empty()) {
      findings.push_back(
          {name, Severity::note, "unknown",
           "as root: mount -t fusectl none /sys/fs/fuse/connections, then look at " + path});
      continue;
    }
    const bool low = std::strtoul(value.c_str(), nullptr, 10) < 256;
    findings.push_back({name, low ? Severity::warn : Severity::ok, value,
                        low ? "as root: echo 1024 > " + path +
                                  " (raise both max_background and congestion_threshold: they cap "
                                  "the requests in flight and switch readahead off)"
                            : ""});
  }
  return findings;
}

Findings check_nfs(const Mount& mount) {
  Findings findings;
  const std::string slots = first_line("/sys/module/nfs/parameters/max_session_slots");
  if (!slots.empty() && std::strtoul(slots.c_str(), nullptr, 10) < 1024) {
    findings.push_back({"NFS session slots", Severity::warn, slots,
                        "an NFSv4.1 session has at most that many requests in flight: set "
                        "nfs.max_session_slots=1024 (modprobe option, then mount anew)"});
  }
  if (mount.options.find("nconnect=") == std::string::npos) {
    findings.push_back({"NFS connections", Severity::note, "one",
                        "mount with nconnect=8 or so where the bandwidth of one TCP connection is "
                        "the limit"});
  }
  return findings;
}

Findings check_lustre() {
  return {{"Lustre requests in flight", Severity::note, "not readable from here",
           "8 per target by default: lctl get_param mdc.*.max_rpcs_in_flight "
           "osc.*.max_rpcs_in_flight, and as root lctl set_param both to 64 or more (opens wait "
           "on the first, reads on the second)"},
          {"Lustre first reads", Severity::note, "may be restored from S3 (FSx)",
           "the first epoch can take seconds a file: lfs hsm_restore the dataset beforehand"}};
}

/// Of a folder: whether later starts will know its listing.
Findings check_listing(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return {};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto why =
      data::why_not_kept(path, std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  if (why.empty()) return {{"listing", Severity::ok, "kept, and checked by folder times", ""}};
  return {
      {"listing", Severity::note, "not kept: " + std::string(why),
       "every start lists the folder, since nothing tells when a listing is old; where files do "
       "not change, --always-cache or, in Python, ImageFolder(use_cache=\"always\") keeps it"}};
}

}  // namespace

Findings check_path(const std::string& path) {
  const std::string file = file_to_probe(path);
  const io::FsProbe probe = io::probe_file_system(file);
  const Mount mount = mount_of(file);
  Findings findings{{"file system", Severity::ok,
                     probe.type + " at " + mount.point + " (" + mount.source + ")", ""}};
  if (!probe.detail.empty()) {
    findings.push_back({"probe", Severity::warn, probe.detail, "check that the file is readable"});
  }
  findings.push_back(check_nowait(probe));
  findings.push_back(check_direct(probe));

  const auto append = [&findings](Findings more) {
    findings.insert(findings.end(), more.begin(), more.end());
  };
  const std::string_view type = mount.type;
  if (type.starts_with("fuse")) append(check_fuse(file));
  if (type.starts_with("nfs")) append(check_nfs(mount));
  if (type == "lustre") append(check_lustre());
  append(check_listing(path));
  return findings;
}

}  // namespace ringfeed::cli
