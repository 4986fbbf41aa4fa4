#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace ringfeed::system_limits {

// `root` stands before /proc and /sys, so that tests can show another machine. All block for a
// few reads of virtual files; any thread.

/// CPUs worth of time a second that the process's cgroup and its ancestors allow (v1 or v2);
/// nothing if unlimited.
std::optional<double> cgroup_cpu_quota(const std::string& root = "");

/// How many more threads the process's cgroup and its ancestors allow; nothing if unlimited.
std::optional<std::uint64_t> cgroup_free_pids(const std::string& root = "");

/// Memory that this process may take, and what of it is taken.
struct Memory {
  std::uint64_t limit = 0;
  std::uint64_t used = 0;  ///< but for what the kernel takes back without a wait: clean file pages
  std::uint64_t swap = 0;  ///< that pages of `used` can still go to
  bool of_cgroup = false;  ///< else the machine's own

  std::uint64_t left() const noexcept { return limit > used ? limit - used : 0; }
};

/// Of the machine, the process's cgroup and its ancestors (v1 or v2), the one that leaves least;
/// nothing where none says.
std::optional<Memory> memory(const std::string& root = "");

struct Cpus {
  int own = 1;                    ///< in this process's affinity mask
  int common = 1;                 ///< that the processes of its job on this machine have together
  std::optional<double> quota{};  ///< as cgroup_cpu_quota(): theirs together
};

/// `common` is what the parent may use, which has started them, within the cgroup's cpuset.
Cpus cpus(const std::string& root = "");

/// The cores for one of `ranks` processes: its part of what they have together, and no more than
/// its own mask, which a launcher that binds has made its part already. At least 1.
int cores_for_rank(const Cpus& cpus, std::uint32_t ranks);

/// `wanted` files in flight, or fewer where descriptors or threads would run out: half of what
/// each limit leaves, the limits on threads shared among the job's local processes. At least 1.
std::uint32_t depth_limit(std::uint32_t wanted, const std::string& root = "");

}  // namespace ringfeed::system_limits
