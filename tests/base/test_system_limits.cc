#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "base/system_limits.h"
#include "support/in_child.h"
#include "support/temp_dir.h"

namespace ringfeed::system_limits {
namespace {

using testing::in_child;
using testing::TempDir;

TEST_CASE("cgroup v2: the least quota and the fewest threads on the way up hold") {
  const TempDir root;
  root.write("proc/self/cgroup", "0::/user.slice/job\n");
  root.write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/user.slice/cpu.max", "150000 100000\n");
  root.write("sys/fs/cgroup/user.slice/job/pids.max", "1000\n");
  root.write("sys/fs/cgroup/user.slice/job/pids.current", "100\n");
  root.write("sys/fs/cgroup/user.slice/pids.max", "500\n");
  root.write("sys/fs/cgroup/user.slice/pids.current", "200\n");
  CHECK(cgroup_cpu_quota(root.path()) == 1.5);
  CHECK(cgroup_free_pids(root.path()) == 300);
}

TEST_CASE("cgroup v1 and hybrid: each controller has its own path") {
  const TempDir root;
  root.write("proc/self/cgroup", "8:pids:/a\n3:cpuset:/\n2:cpu,cpuacct:/b/c\n0::/unified\n");
  root.write("sys/fs/cgroup/cpu/b/c/cpu.cfs_quota_us", "-1\n");
  root.write("sys/fs/cgroup/cpu/b/c/cpu.cfs_period_us", "100000\n");
  CHECK_FALSE(cgroup_cpu_quota(root.path()).has_value());
  root.write("sys/fs/cgroup/cpu/b/cpu.cfs_quota_us", "50000\n");
  root.write("sys/fs/cgroup/cpu/b/cpu.cfs_period_us", "100000\n");
  CHECK(cgroup_cpu_quota(root.path()) == 0.5);
  root.write("sys/fs/cgroup/pids/a/pids.max", "max\n");
  root.write("sys/fs/cgroup/pids/a/pids.current", "7\n");
  CHECK_FALSE(cgroup_free_pids(root.path()).has_value());
}

TEST_CASE("a container that sees the host's cgroup path uses the directory it can see") {
  const TempDir root;
  root.write("proc/self/cgroup", "0::/kubepods/pod1/abc\n");
  root.write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(cgroup_cpu_quota(root.path()) == 2.0);
}

TEST_CASE("no cgroup files, or nonsense in them, mean no limit") {
  const TempDir root;
  CHECK_FALSE(cgroup_cpu_quota(root.path()).has_value());
  CHECK_FALSE(cgroup_free_pids(root.path()).has_value());
  root.write("proc/self/cgroup", "nonsense\n0::/\n");
  root.write("sys/fs/cgroup/cpu.max", "lots of\n");
  root.write("sys/fs/cgroup/pids.max", "\n");
  CHECK_FALSE(cgroup_cpu_quota(root.path()).has_value());
  CHECK_FALSE(cgroup_free_pids(root.path()).has_value());
}

TEST_CASE("a rank that is bound keeps its cores; those that share a mask divide it") {
  struct Case {
    const char* what;
    Cpus cpus;
    std::uint32_t ranks;
    int cores;
  };
  const Case cases[] = {
      {"alone", {8, 8, {}}, 1, 8},
      {"torchrun, nobody bound", {64, 64, {}}, 8, 8},
      {"srun --cpus-per-task=8, bound to 8 each", {8, 64, {}}, 8, 8},
      {"mpirun --bind-to core", {1, 64, {}}, 8, 1},
      {"each bound to its socket, four on one", {32, 64, {}}, 8, 8},
      {"the launcher itself was bound: taskset -c 0-7 torchrun", {8, 8, {}}, 4, 2},
      {"more ranks than cores", {2, 2, {}}, 8, 1},
      {"a quota rounded up", {8, 8, 1.1}, 1, 2},
      {"less than a core", {8, 8, 0.2}, 1, 1},
      {"the quota is the ranks' together", {64, 64, 16.0}, 4, 4},
      {"a quota wider than the mask", {4, 4, 64.0}, 2, 2},
      {"bound, under a quota", {8, 64, 16.0}, 8, 2},
  };
  for (const Case& one : cases) {
    CAPTURE(one.what);
    CHECK(cores_for_rank(one.cpus, one.ranks) == one.cores);
  }
}

TEST_CASE("what ranks have together is their parent's mask within the cgroup's cpuset") {
  const TempDir root;
  cpu_set_t mask;
  REQUIRE(::sched_getaffinity(0, sizeof mask, &mask) == 0);
  const int own = CPU_COUNT(&mask);
  const std::string parent = "proc/" + std::to_string(::getppid()) + "/status";
  root.write("proc/self/cgroup", "0::/job/task\n");
  const auto common = [&] { return cpus(root.path()).common; };
  CHECK(cpus(root.path()).own == own);
  CHECK(common() >= own);  // of the machine
  root.write(parent, "Name:\tslurmstepd\nCpus_allowed_list:\t0-999,2000,3000-3001\n");
  CHECK(common() == 1003);
  root.write("sys/fs/cgroup/job/cpuset.cpus.effective", "0-899\n");
  CHECK(common() == 900);
  root.write(parent, "Cpus_allowed_list:\t0\n");  // narrower than our own: no bound for us
  CHECK(common() == own);
  root.write(parent, "Cpus_allowed_list:\tall of them\n");
  CHECK(common() == 900);
  root.write("proc/self/cgroup", "4:cpuset:/b\n");
  root.write("sys/fs/cgroup/cpuset/b/cpuset.effective_cpus", "0-799\n");
  CHECK(common() == 800);
}

TEST_CASE("the depth is halved from what the limits leave and shared among local ranks") {
  const TempDir root;
  root.write("proc/self/cgroup", "0::/\n");
  root.write("sys/fs/cgroup/pids.max", "900\n");
  root.write("sys/fs/cgroup/pids.current", "100\n");
  const std::string said = in_child([&] {
    const rlimit files{256, 256}, threads{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_NOFILE, &files);
    ::setrlimit(RLIMIT_NPROC, &threads);
    std::string depths;
    const auto add = [&](std::uint32_t wanted) {
      depths += std::to_string(depth_limit(wanted, root.path())) + " ";
    };
    ::unsetenv("LOCAL_WORLD_SIZE");
    add(64);    // enough for that
    add(1024);  // 256 descriptors, half
    ::setenv("LOCAL_WORLD_SIZE", "8", 1);
    add(1024);  // 800 threads, half, an eighth
    ::setenv("LOCAL_WORLD_SIZE", "100000", 1);
    add(1024);
    ::setenv("LOCAL_WORLD_SIZE", "many", 1);
    add(1024);
    return depths;
  });
  CHECK(said == "64 128 50 1 128 ");
}

}  // namespace
}  // namespace ringfeed::system_limits
