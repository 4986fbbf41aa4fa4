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

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

std::string bytes(std::uint64_t mebibytes) { return std::to_string(mebibytes * mib) + "\n"; }

TEST_CASE("cgroup v2: the level that leaves least memory counts, without its clean file pages") {
  const TempDir root;
  const auto write = [&](const char* file, const std::string& text) {
    root.write(std::string("sys/fs/cgroup/") + file, text);
  };
  root.write("proc/self/cgroup", "0::/pod/job\n");
  write("pod/job/memory.max", bytes(8000));
  write("pod/job/memory.high", "max\n");
  write("pod/job/memory.current", bytes(3000));
  CHECK(memory(root.path())->left() == 5000 * mib);
  CHECK(memory(root.path())->of_cgroup);
  // shmem is in `file`, and can go nowhere; dirty pages have to be written first.
  write("pod/job/memory.stat", "anon 1\nfile " + bytes(2000) + "shmem " + bytes(500) +
                                   "file_dirty " + bytes(100) + "file_writeback " + bytes(50) +
                                   "inactive_file " + bytes(900) + "active_file " + bytes(600) +
                                   "slab_reclaimable " + bytes(70));
  CHECK(memory(root.path())->used == (3000 - 1350 - 70) * mib);
  write("pod/job/memory.high", bytes(7000));
  CHECK(memory(root.path())->limit == 7000 * mib);
  write("pod/memory.max", bytes(9000));
  write("pod/memory.current", bytes(8900));
  CHECK(memory(root.path())->limit == 9000 * mib);
  CHECK(memory(root.path())->left() == 100 * mib);
  write("pod/memory.current", bytes(9100));
  CHECK(memory(root.path())->left() == 0);
}

TEST_CASE("cgroup v1: memory has a path of its own, and a limit near 2^63 is none") {
  const TempDir root;
  const auto write = [&](const char* file, const std::string& text) {
    root.write(std::string("sys/fs/cgroup/memory/") + file, text);
  };
  root.write("proc/self/cgroup", "4:memory:/a\n2:cpu:/b\n0::/unified\n");
  write("a/memory.limit_in_bytes", "9223372036854771712\n");
  write("a/memory.usage_in_bytes", bytes(500));
  CHECK_FALSE(memory(root.path()).has_value());
  write("memory.limit_in_bytes", bytes(4000));
  write("memory.usage_in_bytes", bytes(3500));
  write("memory.stat", "cache 1\nactive_file 7\ntotal_dirty " + bytes(10) + "total_active_file " +
                           bytes(600) + "total_inactive_file " + bytes(400));
  write("memory.kmem.usage_in_bytes", bytes(25));
  const auto found = memory(root.path());
  REQUIRE(found.has_value());
  CHECK(found->limit == 4000 * mib);
  CHECK(found->used == (3500 - 990 - 25) * mib);
}

TEST_CASE("the machine's own memory is a limit too, and pages can go to swap") {
  const TempDir root;
  root.write("proc/meminfo",
             "MemTotal:       8388608 kB\nMemFree: 1 kB\nMemAvailable:   2097152 kB\n"
             "HugePages_Total:       0\nSwapFree:       1048576 kB\n");
  const auto machine = memory(root.path());
  REQUIRE(machine.has_value());
  CHECK_FALSE(machine->of_cgroup);
  CHECK(machine->limit == 8192 * mib);
  CHECK(machine->left() == 2048 * mib);
  CHECK(machine->swap == 1024 * mib);
  root.write("proc/self/cgroup", "0::/\n");
  root.write("sys/fs/cgroup/memory.max", bytes(4096));
  root.write("sys/fs/cgroup/memory.current", bytes(1024));
  CHECK_FALSE_MESSAGE(memory(root.path())->of_cgroup, "the container leaves more than there is");
  root.write("sys/fs/cgroup/memory.current", bytes(4000));
  CHECK(memory(root.path())->of_cgroup);
  CHECK(memory(root.path())->swap == 1024 * mib);
  root.write("sys/fs/cgroup/memory.swap.max", bytes(300));
  root.write("sys/fs/cgroup/memory.swap.current", bytes(100));
  CHECK(memory(root.path())->swap == 200 * mib);
  root.write("sys/fs/cgroup/memory.swap.max", "0\n");
  CHECK(memory(root.path())->swap == 0);
}

TEST_CASE("no files about memory, or nonsense in them, mean no limit") {
  const TempDir root;
  CHECK_FALSE(memory(root.path()).has_value());
  root.write("proc/self/cgroup", "0::/\n");
  root.write("proc/meminfo", "MemTotal: lots\n");
  root.write("sys/fs/cgroup/memory.max", "-1\n");
  root.write("sys/fs/cgroup/memory.current", "7\n");
  CHECK_FALSE(memory(root.path()).has_value());
  root.write("sys/fs/cgroup/memory.max", bytes(10));
  root.write("sys/fs/cgroup/memory.current", "much\n");
  CHECK_FALSE(memory(root.path()).has_value());
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
