// What engines do where the kernel or a container allows less. Each case is a child of its own.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "engine_test.h"
#include "io/open_engine.h"

namespace ringfeed::io {
namespace {

/// From now on `call` fails with `error` in this process, as under a container's profile.
void deny(unsigned call, unsigned error) {
  sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{std::size(code), code};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    throw std::system_error(errno, std::generic_category(), "seccomp");
  }
}

void limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  if (::setrlimit(resource, &both) != 0) {
    throw std::system_error(errno, std::generic_category(), "setrlimit");
  }
}

/// Reads `count` files at once; "all N right" or the first fault.
std::string read_together(Engine& engine, const TempDir& dir, std::uint32_t count) {
  std::vector<Buffer> buffers(engine.slots(), Buffer(16));
  const std::string path = dir / "file";
  std::uint32_t right = 0;
  while (right < count) {
    const std::uint32_t batch = std::min(engine.slots(), count - right);
    for (std::uint32_t i = 0; i < batch; ++i) {
      engine.open_and_read(i, path.c_str(), buffers[i], 0);
    }
    std::vector<Engine::Completion> out;
    while (out.size() < batch) engine.poll(Engine::for_ever, out);
    for (const auto& done : out) {
      if (done.result != 7) return "errno " + std::to_string(-done.result);
      ++right;
    }
  }
  return "all " + std::to_string(right) + " right";
}

TEST_CASE("a container that forbids io_uring: the ring throws its errno, the pool works") {
  const TempDir dir;
  dir.write("file", "content");
  for (const int error : {EPERM, ENOSYS}) {
    CAPTURE(error);
    const std::string said = in_child([&]() -> std::string {
      deny(__NR_io_uring_setup, static_cast<unsigned>(error));
      try {
        make_ring_engine(EngineOptions{.slots = 4, .root = dir.path()});
        return "made a ring";
      } catch (const std::system_error& thrown) {
        if (thrown.code().value() != error) return thrown.what();
        if (std::strstr(thrown.what(), "io_uring_setup") == nullptr) return thrown.what();
      }
      const auto pool = make_pool_engine(EngineOptions{.slots = 4, .root = dir.path()});
      return read_together(*pool, dir, 100);
    });
    CHECK(said == "all 100 right");
  }
}

TEST_CASE("a container that forbids io_uring: automatic takes the pool and says why") {
  const TempDir dir;
  dir.write("file", "content");
  const std::string said = in_child([&]() -> std::string {
    ::unsetenv("RINGFEED_READER");
    deny(__NR_io_uring_setup, EPERM);
    const EngineOptions options{.slots = 4, .root = dir.path()};
    const auto [engine, note] = open_engine(ReaderKind::automatic, options);
    if (engine->name() != "pool" || note.find("io_uring_setup") == note.npos) return note;
    try {
      open_engine(ReaderKind::ring, options);
      return "made a ring";
    } catch (const std::system_error&) {
    }
    return read_together(*engine, dir, 100);
  });
  CHECK(said == "all 100 right");
}

TEST_CASE("RINGFEED_READER decides for automatic alone, and a wrong value is always an error") {
  const std::string said = in_child([]() -> std::string {
    const EngineOptions options{.slots = 4, .root = "/"};
    ::setenv("RINGFEED_READER", "pool", 1);
    if (open_engine(ReaderKind::automatic, options).engine->name() != "pool") return "not asked";
    deny(__NR_io_uring_setup, EPERM);
    ::setenv("RINGFEED_READER", "ring", 1);
    try {
      open_engine(ReaderKind::automatic, options);
      return "fell back from the ring that was asked for";
    } catch (const std::system_error&) {
    }
    if (open_engine(ReaderKind::pool, options).engine->name() != "pool") return "overruled";
    ::setenv("RINGFEED_READER", "", 1);
    if (open_engine(ReaderKind::automatic, options).engine->name() != "pool") return "empty";
    std::string errors;
    ::setenv("RINGFEED_READER", "rings", 1);
    for (const ReaderKind kind : {ReaderKind::automatic, ReaderKind::ring, ReaderKind::pool}) {
      try {
        open_engine(kind, options);
        errors += "none; ";
      } catch (const std::invalid_argument& error) {
        errors += std::string(error.what()) + "; ";
      }
    }
    return errors;
  });
  const std::string error = "RINGFEED_READER=rings: must be one of auto, ring, pool; ";
  CHECK(said == error + error + error);
}

TEST_CASE("a kernel that lacks a registration is refused by its name") {
  if (!ring_missing().empty()) {
    MESSAGE("SKIPPED, no io_uring here: " << ring_missing());
    return;
  }
  const std::string said = in_child([&]() -> std::string {
    deny(__NR_io_uring_register, EINVAL);
    try {
      make_ring_engine(EngineOptions{.slots = 4, .root = "/"});
    } catch (const std::system_error& thrown) {
      return thrown.what();
    }
    return "made a ring";
  });
  CHECK(said.find("IORING_REGISTER") != std::string::npos);
}

TEST_CASE("few descriptors: fewer slots, said in the note, and every file still arrives") {
  const TempDir dir;
  dir.write("file", "content");
  on_every_engine([&](Kind kind) {
    const std::string said = in_child([&]() -> std::string {
      limit(RLIMIT_NOFILE, 64);
      const auto engine = make(kind, 1000, dir.path());
      if (engine->slots() != 32) return std::to_string(engine->slots()) + " slots";
      if (engine->note() != "1000 slots refused (EMFILE), using 32") return engine->note();
      return read_together(*engine, dir, 300);
    });
    CHECK(said == "all 300 right");
  });
}

TEST_CASE("exhausted descriptors are the ring's no matter and a pool read's EMFILE") {
  const TempDir dir;
  dir.write("file", "content");
  on_every_engine([&](Kind kind) {
    const std::string said = in_child([&] {
      const auto engine = make(kind, 4, dir.path());
      limit(RLIMIT_NOFILE, 3);
      return read_together(*engine, dir, 4);
    });
    CHECK(said == (kind == Kind::pool ? "errno " + std::to_string(EMFILE) : "all 4 right"));
  });
}

TEST_CASE("the last descriptors go from slots that no longer need them to those that do") {
  const TempDir dir;
  dir.write("file", "content");
  on_every_engine([&](Kind kind) {
    const std::string said = in_child([&] {
      const auto engine = make(kind, 8, dir.path());
      if (read_together(*engine, dir, 4) != "all 4 right") return std::string("not read");
      const int none_below = ::dup(0);
      ::close(none_below);
      limit(RLIMIT_NOFILE, static_cast<rlim_t>(none_below));
      for (std::uint32_t slot = 0; slot < 4; ++slot) engine->release(slot);
      Buffer buffer(16);
      const std::string path = dir / "file";
      engine->open_and_read(7, path.c_str(), buffer, 0);
      std::vector<Engine::Completion> out;
      while (out.empty()) engine->poll(Engine::for_ever, out);
      return std::to_string(out[0].result);
    });
    CHECK(said == "7");
  });
}

TEST_CASE("little lockable memory: a shallower ring that reads all the same") {
  const TempDir dir;
  dir.write("file", "content");
  on_every_engine(
      [&](Kind kind) {
        const std::string said = in_child([&] {
          limit(RLIMIT_MEMLOCK, 64 << 10);
          become_nobody();
          const auto engine = make(kind, 4096, dir.path());
          // Some kernels count nothing.
          const std::string& note = engine->note();
          if (engine->slots() < 4096 && note.find("refused (ENOMEM)") == note.npos) return note;
          if (engine->slots() < 128) return note;
          return read_together(*engine, dir, 500);
        });
        CHECK(said == "all 500 right");
      },
      {Kind::ring});
}

TEST_CASE("no lockable memory: the ring works or names the refused call") {
  on_every_engine(
      [&](Kind kind) {
        const std::string said = in_child([&]() -> std::string {
          limit(RLIMIT_MEMLOCK, 0);
          become_nobody();
          try {
            make(kind, 64, "/");
          } catch (const std::system_error& thrown) {
            return thrown.what();
          }
          return "works";
        });
        CHECK((said == "works" || said == "io_uring_setup: Cannot allocate memory"));
      },
      {Kind::ring});
}

TEST_CASE("threads refused: the pool goes on with those it has and says so") {
  const TempDir dir;
  dir.write("file", "content");
  const std::string said = in_child([&]() -> std::string {
    const auto engine = make(Kind::pool, 16, dir.path());  // its first thread is there
    deny(__NR_clone3, ENOSYS);                             // glibc then takes clone
    deny(__NR_clone, EAGAIN);
    const std::string read = read_together(*engine, dir, 200);
    if (engine->note() != "thread 2 refused (EAGAIN), using 1") return engine->note();
    return read;
  });
  CHECK(said == "all 200 right");
}

TEST_CASE("signals go to the program's threads, never to an engine's") {
  const TempDir dir;
  dir.write("file", "content");
  const std::string said = in_child([&]() -> std::string {
    const auto engine = make(Kind::pool, 4, dir.path());
    if (read_together(*engine, dir, 4) != "all 4 right") return "not read";
    int engine_threads = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream status(task.path() / "status");
      std::string name, blocked;
      for (std::string line; std::getline(status, line);) {
        if (line.starts_with("Name:")) name = line.substr(6);
        if (line.starts_with("SigBlk:")) blocked = line.substr(8);
      }
      if (!name.starts_with("rf-read-")) continue;
      ++engine_threads;
      // SIGINT (2), SIGTERM (15), SIGALRM (14), SIGUSR1 (10): bits number - 1
      const unsigned long mask = std::stoul(blocked, nullptr, 16);
      for (const int number : {SIGINT, SIGTERM, SIGALRM, SIGUSR1}) {
        if ((mask >> (number - 1) & 1) == 0) return name + " takes " + std::to_string(number);
      }
    }
    return engine_threads > 0 ? "all blocked" : "no thread rf-read-N";
  });
  CHECK(said == "all blocked");
}

}  // namespace
}  // namespace ringfeed::io
