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

/// The cores this process may keep busy: its affinity mask, no more than the cgroup's quota
/// rounded up; at least 1. Shared by all its job's processes here: ringfeed::usable_cores()
/// divides.
int usable_cores(const std::string& root = "");

/// Processes of this job on this machine, from LOCAL_WORLD_SIZE; 1 if unset or not a number.
std::uint32_t local_world_size();

/// `wanted` files in flight, or fewer where descriptors or threads would run out: half of what
/// each limit leaves, the limits on threads shared among the job's local processes. At least 1.
std::uint32_t depth_limit(std::uint32_t wanted, const std::string& root = "");

}  // namespace ringfeed::system_limits
