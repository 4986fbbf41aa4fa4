// What close_files() closes, and what it leaves alone.
#include <sys/inotify.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/file_descriptor.h"
#include "engine_test.h"
#include "io/pool_engine.h"

namespace ringfeed::io {
namespace {

/// Counts the files of a directory whose last descriptor has gone.
class Closes {
 public:
  explicit Closes(const std::string& dir) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    REQUIRE(::inotify_add_watch(fd_.get(), dir.c_str(), IN_CLOSE_NOWRITE) >= 0);
  }
  int seen() {
    alignas(inotify_event) char events[4096];
    ssize_t size = 0;
    while ((size = ::read(fd_.get(), events, sizeof events)) > 0) {
      for (ssize_t at = 0; at < size; ++seen_) {
        at += static_cast<ssize_t>(sizeof(inotify_event)) +
              reinterpret_cast<const inotify_event*>(events + at)->len;
      }
    }
    return seen_;
  }

 private:
  FileDescriptor fd_;
  int seen_ = 0;
};

constexpr std::uint32_t slots = 8;

/// f0 … f7, each held open in the slot of its number.
struct Held {
  explicit Held(Kind kind) {
    for (std::uint32_t i = 0; i < slots; ++i) {
      names.push_back(numbered("f", static_cast<int>(i)));
      dir.write(names.back(), numbered("file ", static_cast<int>(i)));
    }
    engine = make(kind, slots, dir.path());
    for (std::uint32_t i = 0; i < slots; ++i) CHECK(read(i));
  }
  bool read(std::uint32_t slot) {
    const auto done = read_alone(*engine, names[slot], buffer, 0, slot);
    return done.result == 6 && text_of(buffer, 6) == numbered("file ", static_cast<int>(slot));
  }
  /// Polls until `count` files have been closed.
  void wait_for(Closes& closes, int count) {
    std::vector<Engine::Completion> out;
    while (closes.seen() < count) {
      engine->poll(Engine::Clock::now() + std::chrono::microseconds(100), out);
    }
    CHECK(out.empty());
  }

  const TempDir dir;
  std::vector<std::string> names;
  std::unique_ptr<Engine> engine;
  Bytes buffer = Bytes(16);
};

TEST_CASE("a pool that is never without reads closes files too") {
  const Deadline deadline(60);
  constexpr std::uint32_t busy = 64;
  const TempDir dir, other;
  dir.write("old", "content");
  other.write("file", "content");
  const auto engine =
      make_pool_engine(PoolEngineOptions{{.slots = 1 + busy, .root = dir.path()}, 1, 0});
  std::vector<Bytes> buffers(1 + busy, Bytes(16));
  CHECK(read_alone(*engine, "old", buffers[0], 0, 0).result == 7);
  Closes closes(dir.path());
  const std::string path = other.path() / "file";
  std::uint32_t started = 0;
  for (; started < busy / 2; ++started) {
    engine->open_and_read(1 + started, path.c_str(), buffers[1 + started], 0);
  }
  engine->release(0);
  engine->close_files();
  // Two begin for each that ends, so that the only thread has no rest before all have ended.
  std::vector<Engine::Completion> out;
  std::uint32_t ended = 0;
  while (ended < busy) {
    out.clear();
    engine->poll(Engine::for_ever, out);
    ended += static_cast<std::uint32_t>(out.size());
    for (std::uint32_t i = 0; i < 2 && started < busy; ++i, ++started) {
      engine->open_and_read(1 + started, path.c_str(), buffers[1 + started], 0);
    }
    if (ended < busy / 2) continue;
    CHECK(closes.seen() == 1);
  }
}

TEST_CASE("the files of released slots are closed, and the slots read on with others") {
  on_every_engine([](Kind kind) {
    const Deadline deadline(60);
    Held files(kind);
    Closes closes(files.dir.path());
    for (int round = 1; round <= 3; ++round) {
      for (std::uint32_t i = 0; i < slots; ++i) files.engine->release(i);
      CHECK(closes.seen() == (round - 1) * static_cast<int>(slots));  // a release closes nothing
      files.engine->close_files();
      files.wait_for(closes, round * static_cast<int>(slots));
      for (std::uint32_t i = 0; i < slots; ++i) CHECK(files.read(i));
    }
  });
}

TEST_CASE("a file that is read on later is not closed") {
  on_every_engine([](Kind kind) {
    const Deadline deadline(60);
    Held files(kind);
    Closes closes(files.dir.path());
    for (std::uint32_t i = 1; i < slots; ++i) files.engine->release(i);
    files.engine->close_files();
    files.wait_for(closes, static_cast<int>(slots) - 1);
    files.engine->read_more(0, files.buffer, 5);
    CHECK(wait_for_some(*files.engine).at(0).result == 1);
    CHECK(text_of(files.buffer, 1) == "0");
    CHECK(closes.seen() == static_cast<int>(slots) - 1);
  });
}

TEST_CASE("a file that a failed open has left in its slot is closed too") {
  on_every_engine([](Kind kind) {
    const Deadline deadline(60);
    Held files(kind);
    Closes closes(files.dir.path());
    CHECK(read_alone(*files.engine, "missing", files.buffer, 0, 3).result == -ENOENT);
    files.engine->release(3);
    files.engine->close_files();
    files.wait_for(closes, 1);
    CHECK(files.read(3));
  });
}

TEST_CASE("20,000 cached reads, files closed between and beside them, each give their own bytes") {
  const TempDir dir;
  std::vector<std::string> names, contents;
  for (int i = 0; i < 101; ++i) {
    names.push_back(numbered("f", i));
    contents.emplace_back(static_cast<std::size_t>(1 + 97 * i % 5000),
                          static_cast<char>(' ' + i % 95));
    contents.back() += names.back();
    dir.write(names.back(), contents.back());
  }
  const char* fixed = std::getenv("RINGFEED_TEST_SEED");
  const unsigned seed = fixed ? static_cast<unsigned>(std::atoi(fixed)) : std::random_device{}();
  MESSAGE("RINGFEED_TEST_SEED=" << seed);
  on_every_engine([&](Kind kind) {
    const Deadline deadline(300);
    std::mt19937 random(seed);
    const auto engine = make(kind, 1 + random() % 32, dir.path());
    struct Reading {
      int file = -1;
      bool cancelled = false;
    };
    std::vector<Reading> reading(engine->slots());
    std::vector<Bytes> buffers(engine->slots(), Bytes(1 << 13));
    std::vector<Engine::Completion> out;
    int started = 0, finished = 0, right = 0, cancelled = 0;
    while (finished < 20000) {
      for (std::uint32_t slot = 0; slot < engine->slots() && started < 20000; ++slot) {
        if (reading[slot].file >= 0 || random() % 2 == 0) continue;
        reading[slot] = {static_cast<int>(random() % names.size())};
        engine->open_and_read(slot, names[static_cast<std::size_t>(reading[slot].file)].c_str(),
                              buffers[slot], 0);
        ++started;
        if (random() % 16 == 0) {
          engine->cancel(slot);
          reading[slot].cancelled = true;
        }
      }
      if (random() % 2 == 0) engine->close_files();
      out.clear();
      engine->poll(some_time(random, started > finished), out);
      for (const auto& done : out) {
        const Reading was = std::exchange(reading[done.slot], {});
        REQUIRE(was.file >= 0);  // else a second completion
        ++finished;
        const std::string& content = contents[static_cast<std::size_t>(was.file)];
        if (was.cancelled && (done.result == -ECANCELED || done.result == -EINTR)) {
          ++cancelled;
        } else if (done.result == static_cast<int>(content.size()) &&
                   text_of(buffers[done.slot], done.result) == content) {
          ++right;
        }
        if (random() % 4 != 0) engine->release(done.slot);
      }
    }
    CHECK(right + cancelled == 20000);
    CHECK(right > 15000);
  });
}

}  // namespace
}  // namespace ringfeed::io
