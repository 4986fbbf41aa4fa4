#include "base/system_limits.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <vector>

#include "base/launched_ranks.h"
#include "base/to_number.h"

namespace ringfeed::system_limits {
namespace {

/// The words of a file; none if it cannot be read.
std::vector<std::string> words(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> result;
  for (std::string word; file >> word;) result.push_back(word);
  return result;
}

/// One number from a file that holds one word; nothing for "max" or a missing file.
std::optional<std::int64_t> number_in(const std::string& path) {
  const auto text = words(path);
  return text.empty() ? std::nullopt : to_number<std::int64_t>(text.front());
}

/// Lines of a name and a number, as /proc/meminfo and memory.stat have.
class Numbers {
 public:
  explicit Numbers(const std::string& path) : lines_("\n") {
    std::ifstream file(path);
    lines_.append(std::istreambuf_iterator<char>(file), {});
  }

  std::uint64_t sum(std::initializer_list<std::string_view> names) const {
    std::uint64_t all = 0;
    for (const std::string_view name : names) all += value(name);
    return all;
  }

 private:
  std::uint64_t value(std::string_view name) const {
    const std::size_t at = lines_.find("\n" + std::string(name) + " ");
    if (at == lines_.npos) return 0;
    const std::size_t begin = lines_.find_first_not_of(' ', at + name.size() + 1);
    const std::size_t end = std::min(lines_.find_first_of(" \n", begin), lines_.size());
    if (begin >= end) return 0;
    return to_number<std::uint64_t>(std::string_view(lines_).substr(begin, end - begin))
        .value_or(0);
  }

  std::string lines_;
};

std::uint64_t without(std::uint64_t all, std::uint64_t part) { return all > part ? all - part : 0; }

bool lists(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const std::size_t end = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, end) == wanted) return true;
    controllers.remove_prefix(std::min(end + 1, controllers.size()));
  }
  return false;
}

/// The process's directory for `controller` and all above it: a limit on any of them holds. In a
/// container the path may be the host's and not exist; the topmost is then the container's own.
std::vector<std::string> cgroup_directories(const std::string& root, std::string_view controller) {
  std::string base, path;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "id:controllers:path"
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool version1 = lists(controllers, controller);
    if (!version1 && !(controllers.empty() && base.empty())) continue;
    base = root + "/sys/fs/cgroup";
    if (version1) base.append("/").append(controller);
    path = line.substr(second + 1);
    if (version1) break;
  }
  std::vector<std::string> directories;
  if (base.empty()) return directories;
  while (path.ends_with('/')) path.pop_back();
  for (;;) {
    directories.push_back(base + path);
    if (path.empty()) return directories;
    path.erase(path.rfind('/'));
  }
}

template <class Number>
void keep_least(std::optional<Number>& least, Number value) {
  if (!least || value < *least) least = value;
}

/// How many CPUs a list such as "0-3,8" names; nothing where it is none.
std::optional<int> count_cpus(std::string_view list) {
  int count = 0;
  while (!list.empty()) {
    const std::string_view range = list.substr(0, list.find(','));
    list.remove_prefix(std::min(range.size() + 1, list.size()));
    const std::size_t dash = std::min(range.find('-'), range.size());
    const auto first = to_number<int>(range.substr(0, dash));
    const auto last = dash == range.size() ? first : to_number<int>(range.substr(dash + 1));
    if (!first || !last || *last < *first) return std::nullopt;
    count += *last - *first + 1;
  }
  return count > 0 ? std::optional(count) : std::nullopt;
}

/// In the parent's affinity mask; nothing where it cannot be seen from this container.
std::optional<int> parents_cpus(const std::string& root) {
  std::ifstream file(root + "/proc/" + std::to_string(getppid()) + "/status");
  constexpr std::string_view name = "Cpus_allowed_list:\t";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) return count_cpus(std::string_view(line).substr(name.size()));
  }
  return std::nullopt;
}

/// In the process's cgroup; nothing where it has no cpuset.
std::optional<int> cpuset_cpus(const std::string& root) {
  for (const std::string& directory : cgroup_directories(root, "cpuset")) {
    for (const char* const name : {"/cpuset.cpus.effective", "/cpuset.effective_cpus"}) {
      if (const auto list = words(directory + name); !list.empty()) return count_cpus(list.front());
    }
  }
  return std::nullopt;
}

/// What one cgroup allows; nothing where it has no limit.
std::optional<Memory> cgroup_memory(const std::string& directory, std::uint64_t swap) {
  std::optional<std::int64_t> limit = number_in(directory + "/memory.max"), used;
  // Beyond it the kernel throttles until nothing moves.
  if (const auto high = number_in(directory + "/memory.high")) keep_least(limit, *high);
  const bool version2 = limit.has_value();
  if (version2) {
    used = number_in(directory + "/memory.current");
  } else {
    constexpr std::int64_t none_above = std::int64_t{1} << 62;
    limit = number_in(directory + "/memory.limit_in_bytes");
    if (limit && *limit > none_above) return std::nullopt;
    used = number_in(directory + "/memory.usage_in_bytes");
  }
  if (!limit || !used || *limit < 0 || *used < 0) return std::nullopt;
  const Numbers stat(directory + "/memory.stat");
  std::uint64_t clean = 0;  // shmem, in RAM alone, is on none of these lists
  if (version2) {
    clean = without(stat.sum({"active_file", "inactive_file"}),
                    stat.sum({"file_dirty", "file_writeback"})) +
            stat.sum({"slab_reclaimable"});
    if (const auto most = number_in(directory + "/memory.swap.max")) {
      const auto current = number_in(directory + "/memory.swap.current").value_or(0);
      swap = std::min(swap, static_cast<std::uint64_t>(std::max<std::int64_t>(*most - current, 0)));
    }
  } else {
    clean = without(stat.sum({"total_active_file", "total_inactive_file"}),
                    stat.sum({"total_dirty", "total_writeback"}));
    // Mostly the caches of names and inodes; how much of it is not, no file says.
    const auto kernel = number_in(directory + "/memory.kmem.usage_in_bytes").value_or(0);
    clean += static_cast<std::uint64_t>(std::max<std::int64_t>(kernel, 0));
  }
  return Memory{.limit = static_cast<std::uint64_t>(*limit),
                .used = without(static_cast<std::uint64_t>(*used), clean),
                .swap = swap,
                .of_cgroup = true};
}

rlim_t soft_limit(__rlimit_resource resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

}  // namespace

std::optional<double> cgroup_cpu_quota(const std::string& root) {
  std::optional<double> least;
  for (const std::string& directory : cgroup_directories(root, "cpu")) {
    std::optional<std::int64_t> quota, period;
    if (const auto both = words(directory + "/cpu.max"); both.size() == 2) {
      quota = to_number<std::int64_t>(both[0]);
      period = to_number<std::int64_t>(both[1]);
    } else {
      quota = number_in(directory + "/cpu.cfs_quota_us");
      period = number_in(directory + "/cpu.cfs_period_us");
    }
    if (quota && period && *quota > 0 && *period > 0) {  // -1: unlimited
      keep_least(least, static_cast<double>(*quota) / static_cast<double>(*period));
    }
  }
  return least;
}

std::optional<std::uint64_t> cgroup_free_pids(const std::string& root) {
  std::optional<std::uint64_t> least;
  for (const std::string& directory : cgroup_directories(root, "pids")) {
    const auto most = number_in(directory + "/pids.max");
    const auto current = number_in(directory + "/pids.current");
    if (most && current) {
      keep_least(least, static_cast<std::uint64_t>(std::max<std::int64_t>(*most - *current, 0)));
    }
  }
  return least;
}

std::optional<Memory> memory(const std::string& root) {
  const Numbers machine(root + "/proc/meminfo");  // in KiB
  const std::uint64_t all = machine.sum({"MemTotal:"}) << 10;
  const std::uint64_t swap = machine.sum({"SwapFree:"}) << 10;
  std::optional<Memory> least;
  if (const std::uint64_t available = machine.sum({"MemAvailable:"}) << 10; available > 0) {
    least = Memory{.limit = all, .used = without(all, available), .swap = swap};
  }
  for (const std::string& directory : cgroup_directories(root, "memory")) {
    const auto level = cgroup_memory(directory, swap);
    if (level && (!least || level->left() < least->left())) least = level;
  }
  return least;
}

Cpus cpus(const std::string& root) {
  // Large enough for any machine: with more CPUs than the set has bits the call fails.
  constexpr int most = 1 << 14;
  std::vector<cpu_set_t> mask(CPU_ALLOC_SIZE(most) / sizeof(cpu_set_t));
  const std::size_t bytes = mask.size() * sizeof(cpu_set_t);
  Cpus found;
  if (sched_getaffinity(0, bytes, mask.data()) == 0) {
    found.own = std::max(CPU_COUNT_S(bytes, mask.data()), 1);
  }
  const auto parent = parents_cpus(root), allowed = cpuset_cpus(root);
  found.common = parent    ? *parent
                 : allowed ? *allowed
                           : static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  if (allowed) found.common = std::min(found.common, *allowed);
  found.common = std::max(found.common, found.own);
  found.quota = cgroup_cpu_quota(root);
  return found;
}

int cores_for_rank(const Cpus& cpus, std::uint32_t ranks) {
  int common = cpus.common;
  if (cpus.quota)
    common = std::min(common, static_cast<int>(std::min(std::ceil(*cpus.quota), 1e6)));
  const auto part = static_cast<std::uint32_t>(std::max(common, 0)) / std::max(ranks, 1u);
  return std::max(1, std::min(cpus.own, static_cast<int>(part)));
}

std::uint32_t depth_limit(std::uint32_t wanted, const std::string& root) {
  std::uint64_t depth = wanted;
  const auto cap = [&](rlim_t limit, std::uint32_t sharers) {
    if (limit != RLIM_INFINITY) depth = std::min<std::uint64_t>(depth, limit / 2 / sharers);
  };
  cap(soft_limit(RLIMIT_NOFILE), 1);  // descriptors are each process's own
  cap(soft_limit(RLIMIT_NPROC), ranks_on_this_host());
  if (const auto pids = cgroup_free_pids(root)) cap(*pids, ranks_on_this_host());
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(depth, 1));
}

}  // namespace ringfeed::system_limits
