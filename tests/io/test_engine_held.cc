#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.h"
#include "engine_test.h"
#include "io/file_head.h"

namespace ringfeed::io {
namespace {

/// A file that this process holds by a lease: others' opens wait until it is let go, or, with
/// O_NONBLOCK, fail with EAGAIN.
class Held {
 public:
  explicit Held(const std::string& path) : file_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    before_ = std::signal(SIGIO, SIG_IGN);  // what tells the holder that somebody waits
    held_ = ::fcntl(file_.get(), F_SETLEASE, F_WRLCK) == 0;
  }
  ~Held() {
    file_.reset();
    std::signal(SIGIO, before_);
  }
  explicit operator bool() const { return held_; }  // not every file system has leases
  int descriptor() const { return file_.get(); }
  void let_go() { ::fcntl(file_.get(), F_SETLEASE, F_UNLCK); }

 private:
  FileDescriptor file_;
  bool held_ = false;
  void (*before_)(int) = nullptr;
};

}  // namespace

TEST_CASE("a file that somebody holds is read once it is let go") {
  on_every_engine([](Kind kind) {
    const Deadline deadline(60);
    const TempDir dir;
    dir.write("held", "content");
    Held held(dir / "held");
    if (!held) {
      MESSAGE("SKIPPED, no leases in " << dir.path());
      return;
    }
    const auto engine = make(kind, 2, dir.path());
    Bytes buffer(64);
    const auto refused = read_alone(*engine, "held", buffer);
    CHECK(refused.step == Engine::Step::open);
    CHECK(refused.result == -EAGAIN);
    engine->wait_and_read(0, "held", buffer, 0);
    std::vector<Engine::Completion> out;
    for (int i = 0; i < 20; ++i) {
      engine->poll(Engine::Clock::now() + std::chrono::milliseconds(1), out);
    }
    CHECK(out.empty());
    held.let_go();
    out = wait_for_some(*engine);
    REQUIRE(out.size() == 1);
    REQUIRE(out[0].result == 7);
    CHECK(text_of(buffer, 7) == "content");
    engine->read_more(0, buffer, 7);
    CHECK(wait_for_some(*engine)[0].result == 0);
  });
}

TEST_CASE("what could be waited for without end is not") {
  const TempDir dir;
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  on_every_engine([&dir](Kind kind) {
    const Deadline deadline(60);
    const auto engine = make(kind, 1, dir.path());
    Bytes buffer(64);
    for (const std::string& path : {std::string("fifo"), std::string("/dev/ptmx")}) {
      engine->wait_and_read(0, path.c_str(), buffer, 0);
      const auto out = wait_for_some(*engine);
      REQUIRE(out.size() == 1);
      CHECK(out[0].step == Engine::Step::open);
      CHECK(out[0].result == -EAGAIN);
    }
  });
}

TEST_CASE("a cancelled wait for a file ends, and the slot is usable") {
  on_every_engine(
      [](Kind kind) {
        const Deadline deadline(30);
        const TempDir dir;
        dir.write("held", "content");
        dir.write("free", "content");
        Held held(dir / "held");
        if (!held) {
          MESSAGE("SKIPPED, no leases in " << dir.path());
          return;
        }
        const auto engine = make(kind, 1, dir.path());
        Bytes buffer(64);
        engine->wait_and_read(0, "held", buffer, 0);
        std::vector<Engine::Completion> out;
        while (out.empty()) {
          engine->poll(Engine::at_once, out);
          engine->cancel(0);
        }
        CHECK(out.size() == 1);
        CHECK(out[0].result < 0);
        CHECK(read_alone(*engine, "free", buffer).result == 7);
      },
      {Kind::ring, Kind::ring_in_io_wq, Kind::ring_of_4_entries});
}

TEST_CASE("the beginning of a file that somebody holds is waited for") {
  const TempDir dir;
  dir.write("held", "content");
  Held held(dir / "held");
  if (!held) {
    MESSAGE("SKIPPED, no leases in " << dir.path());
    return;
  }
  std::thread holder([&] {
    // A lease that is to end says so from the first open on.
    while (::fcntl(held.descriptor(), F_GETLEASE) == F_WRLCK) std::this_thread::yield();
    held.let_go();
  });
  FileHead head;
  CHECK(head.open((dir / "held").c_str()) == 0);
  holder.join();
  CHECK(head.read_to(7) == 0);
  CHECK(head.bytes().size() == 7);
}

}  // namespace ringfeed::io
