// What engines do where the kernel or a container allows less. Each case is a child of its own.
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "engine_test.h"
#include "support/deny.h"

namespace ringfeed::io {
namespace {

using testing::deny;

void limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  if (::setrlimit(resource, &both) != 0) {
    throw std::system_error(errno, std::generic_category(), "setrlimit");
  }
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
      Bytes buffer(16);
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
    testing::deny_threads();
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
