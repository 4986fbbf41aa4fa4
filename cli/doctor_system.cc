#include <liburing.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "base/system_limits.h"
#include "base/thread_start.h"
#include "doctor.h"
#include "io/engine.h"
#include "io/open_engine.h"
#include "output.h"
#include "ringfeed/loader.h"

namespace ringfeed::cli {
namespace {

/// What forbids io_uring, told by errno and the sysctl that says so outright.
std::string why_refused(int error) {
  const std::string disabled = first_line("/proc/sys/kernel/io_uring_disabled");
  if (error == EPERM && disabled == "2") {
    return "switched off on this host: ask for sysctl kernel.io_uring_disabled=0";
  }
  if (error == EPERM && disabled == "1") {
    return "only for the group in sysctl kernel.io_uring_group: join it, or set "
           "kernel.io_uring_disabled=0";
  }
  if (error == EPERM || error == ENOSYS) {
    return "a seccomp profile forbids it (Docker 25 and containerd 2 do by default): run the "
           "container with a profile that allows io_uring_setup, io_uring_enter and "
           "io_uring_register; ENOSYS may also be a kernel built without it";
  }
  if (error == ENOMEM) return "locked memory is too small: raise ulimit -l";
  return "see the error";
}

Finding check_ring_flags() {
  struct Rung {
    unsigned flags;
    const char* name;
  };
  constexpr unsigned common = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP;
  constexpr Rung ladder[] = {
      {common | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
       "SINGLE_ISSUER DEFER_TASKRUN SUBMIT_ALL"},
      {common | IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN SUBMIT_ALL"},
      {0, "none"},
  };
  Finding finding{"io_uring features", Severity::ok, "", ""};
  io_uring ring{};
  io_uring_params params{};
  int result = -EINVAL;
  for (const Rung& rung : ladder) {
    params = {};
    params.flags = rung.flags;
    result = io_uring_queue_init_params(8, &ring, &params);
    if (result == 0) {
      finding.value = std::string("flags ") + rung.name;
      break;
    }
    if (result != -EINVAL) break;
  }
  if (result != 0) {
    return {"io_uring features", Severity::note, std::strerror(-result), ""};
  }
  const auto has = [&finding](bool present, const char* name) {
    finding.value += std::string(", ") + name + (present ? " yes" : " no");
    if (!present) finding.severity = Severity::note;
  };
  has((params.features & IORING_FEAT_CQE_SKIP) != 0, "CQE_SKIP");
  has(io_uring_register_files_sparse(&ring, 8) == 0, "direct descriptors");
  unsigned workers[2] = {0, 0};
  has(io_uring_register_iowq_max_workers(&ring, workers) == 0, "IOWQ_MAX_WORKERS");
  io_uring_queue_exit(&ring);
  if (finding.severity == Severity::note) {
    finding.advice = "the reader uses its thread pool here; kernel 5.19 or newer has them all";
  }
  return finding;
}

/// What $RINGFEED_READER makes of `ring`, what was found out about io_uring.
Finding check_reader(const Finding& ring) {
  try {
    switch (io::reader_in_environment()) {
      case ReaderKind::automatic:
        return {"reader", Severity::ok, "ring, or pool where io_uring is refused", ""};
      case ReaderKind::pool: return {"reader", Severity::ok, "pool: $RINGFEED_READER", ""};
      case ReaderKind::ring: break;
    }
    if (ring.severity == Severity::ok)
      return {"reader", Severity::ok, "ring: $RINGFEED_READER", ""};
    return {"reader", Severity::warn, "RINGFEED_READER=ring, and io_uring is " + ring.value,
            "unset it: loaders then take the pool"};
  } catch (const std::invalid_argument& error) {
    return {"reader", Severity::warn, error.what(), "set it right or unset it: loaders refuse it"};
  }
}

Finding limit(const char* subject, rlim_t now, rlim_t wanted, const std::string& value,
              const std::string& advice) {
  const bool tight = now != RLIM_INFINITY && now < wanted;
  return {subject, tight ? Severity::warn : Severity::ok, value, tight ? advice : ""};
}

std::string rlimit_text(rlim_t value, bool bytes) {
  if (value == RLIM_INFINITY) return "unlimited";
  return bytes ? human_bytes(static_cast<double>(value)) : human_count(value);
}

}  // namespace

Findings check_kernel() {
  utsname name{};
  uname(&name);
  Findings findings{{"kernel", Severity::ok, std::string(name.release), ""}};

  Finding available{"io_uring", Severity::ok, "available", ""};
  // Asked of the very engine the loader would use, on a thread of its own: a ring belongs to the
  // thread that makes it.
  const auto ask = [&available] {
    try {
      const auto engine = io::make_ring_engine({.slots = 64, .root = "/"});
      if (!engine->note().empty()) available.value += " (" + engine->note() + ")";
    } catch (const std::system_error& error) {
      available = {"io_uring", Severity::note, std::string("refused: ") + error.what(),
                   why_refused(error.code().value()) +
                       ". Until then a pool of threads reads as fast, at more CPU per file on "
                       "local file systems"};
    }
  };
  try {
    std::thread(ask).join();
  } catch (const std::system_error& error) {
    available = {"io_uring", Severity::warn, std::string("not asked: ") + error.what(),
                 cannot_start(error, Option::none).detail};
  }
  findings.push_back(available);
  findings.push_back(check_ring_flags());
  findings.push_back(check_reader(available));
  return findings;
}

Findings check_limits() {
  constexpr rlim_t depth = 1024;  // the deepest the loader goes by itself
  Findings findings;
  const std::uint64_t pids = system_limits::cgroup_free_pids().value_or(RLIM_INFINITY);
  findings.push_back(limit("threads left in cgroup", pids, depth + 256, rlimit_text(pids, false),
                           "on NFS, Lustre and the like each read in flight takes a thread: raise "
                           "the container's pids limit (docker --pids-limit, Kubernetes "
                           "podPidsLimit), else the reader goes shallower"));
  rlimit threads{};
  getrlimit(RLIMIT_NPROC, &threads);
  findings.push_back(limit("max user processes", threads.rlim_cur, depth + 256,
                           rlimit_text(threads.rlim_cur, false), "raise ulimit -u"));
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  findings.push_back(limit("open files", files.rlim_cur, depth + 256,
                           rlimit_text(files.rlim_cur, false) + " (hard limit " +
                               rlimit_text(files.rlim_max, false) + ")",
                           "raise ulimit -n (docker --ulimit nofile=65536), else fewer files are "
                           "read at once"));
  rlimit locked{};
  getrlimit(RLIMIT_MEMLOCK, &locked);
  findings.push_back(limit("locked memory", locked.rlim_cur, rlim_t{1} << 20,
                           rlimit_text(locked.rlim_cur, true),
                           "before kernel 5.12 rings count against it: raise ulimit -l"));

  cpu_set_t bound;
  CPU_ZERO(&bound);
  sched_getaffinity(0, sizeof bound, &bound);
  const int cores = CPU_COUNT(&bound);
  Finding cpu{"CPU", Severity::ok, std::to_string(cores) + " cores", ""};
  if (const auto quota = system_limits::cgroup_cpu_quota(); quota && *quota < cores) {
    cpu.severity = Severity::warn;
    cpu.value += ", of which a quota gives " + fixed(*quota, 1);
    cpu.advice =
        "raise the container's CPU limit if more cores are meant to decode; --workers 0 "
        "starts " +
        std::to_string(usable_cores());
  }
  findings.push_back(cpu);
  return findings;
}

}  // namespace ringfeed::cli
