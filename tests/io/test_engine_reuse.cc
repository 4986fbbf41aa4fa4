// Slots are used again the moment their completion is there: no file may show in another's place.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <random>
#include <utility>

#include "engine_test.h"

namespace ringfeed::io {
namespace {

/// Files whose every line is their own name, of many lengths, so that bytes from any other file,
/// or from another offset, show.
class NamedFiles {
 public:
  NamedFiles(const TempDir& dir, int count) {
    for (int i = 0; i < count; ++i) {
      names_.push_back(numbered("f", i));
      std::string content;
      const int lines = 1 + i * 37 % 400;
      for (int line = 0; line < lines; ++line) {
        content += numbered(names_.back() + ":", line) + "\n";
      }
      dir.write(names_.back(), content);
      contents_.push_back(std::move(content));
    }
  }
  int count() const { return static_cast<int>(names_.size()); }
  const char* name(int i) const { return names_[static_cast<std::size_t>(i)].c_str(); }
  const std::string& content(int i) const { return contents_[static_cast<std::size_t>(i)]; }

 private:
  std::vector<std::string> names_, contents_;
};

struct Tally {
  int right = 0, wrong = 0, errors = 0;
};

/// Reads `total` files in turn, each in buffers of `chunk` bytes, read on until the end; every slot
/// starts its next file within the same poll. With `patience`, no poll waits longer.
Tally read_all(Engine& engine, const NamedFiles& files, int total, std::size_t chunk,
               std::optional<std::chrono::microseconds> patience = std::nullopt) {
  struct Attempt {
    int file = 0;
    std::string got;
    Bytes buffer;
  };
  std::vector<Attempt> attempts(engine.slots());
  Tally tally;
  int next = 0, running = 0;
  const auto start = [&](std::uint32_t slot) {
    if (next == total) return;
    Attempt& a = attempts[slot];
    a.file = next++ % files.count();
    a.got.clear();
    a.buffer.assign(chunk, std::byte{0});
    engine.open_and_read(slot, files.name(a.file), a.buffer, 0);
    ++running;
  };
  for (std::uint32_t slot = 0; slot < engine.slots(); ++slot) start(slot);
  std::vector<Engine::Completion> out;
  while (running > 0) {
    out.clear();
    engine.poll(patience ? Engine::Clock::now() + *patience : Engine::for_ever, out);
    for (const auto& done : out) {
      Attempt& a = attempts[done.slot];
      --running;
      if (done.result > 0) a.got += text_of(a.buffer, done.result);
      if (done.result > 0 && a.got.size() < files.content(a.file).size()) {
        engine.read_more(done.slot, a.buffer, a.got.size());
        ++running;
        continue;
      }
      ++(done.result < 0 ? tally.errors
                         : (a.got == files.content(a.file) ? tally.right : tally.wrong));
      start(done.slot);
    }
  }
  return tally;
}

TEST_CASE("20,000 cached reads with slots reused at once: no error, no other file's bytes") {
  const TempDir dir;
  const NamedFiles files(dir, 301);
  on_every_engine([&](Kind kind) {
    const Deadline deadline(300);
    const auto engine = make(kind, 64, dir.path());
    const Tally tally = read_all(*engine, files, 20000, 1 << 16);
    CHECK(tally.right == 20000);
    CHECK(tally.wrong == 0);
    CHECK(tally.errors == 0);
  });
}

TEST_CASE("reading on after a full buffer keeps its file while other slots are recycled") {
  const TempDir dir;
  const NamedFiles files(dir, 101);
  on_every_engine([&](Kind kind) {
    const Deadline deadline(300);
    const auto engine = make(kind, 16, dir.path());
    // Short files are done after one read, long ones need dozens.
    const Tally tally = read_all(*engine, files, 2000, 100);
    CHECK(tally.right == 2000);
    CHECK(tally.wrong == 0);
    CHECK(tally.errors == 0);
  });
}

TEST_CASE("a ring of 4 entries that is full at every offset never cuts a chain") {
  const TempDir dir;
  const NamedFiles files(dir, 67);
  const auto run = [&](bool async_opens, std::optional<std::chrono::microseconds> patience) {
    const Deadline deadline(120);
    for (std::uint32_t slots = 1; slots <= 9; ++slots) {
      for (int before = 0; before < 4; ++before) {
        CAPTURE(slots);
        CAPTURE(before);
        const auto engine = make_ring_engine(
            RingEngineOptions{{.slots = slots, .root = dir.path()}, 0, 4, async_opens});
        // Single reads of one entry each move the place where the next chain begins.
        Bytes buffer(8);
        REQUIRE(read_alone(*engine, files.name(0), buffer).result > 0);
        for (int i = 0; i < before; ++i) {
          engine->read_more(0, buffer, 0);
          REQUIRE(wait_for_some(*engine).size() == 1);
        }
        const Tally tally = read_all(*engine, files, 60, 700, patience);
        CHECK(tally.right == 60);
      }
    }
  };
  if (!ring_missing().empty()) {
    MESSAGE("SKIPPED, no io_uring here: " << ring_missing());
    return;
  }
  SUBCASE("inline") { run(false, std::nullopt); }
  SUBCASE("in io-wq") { run(true, std::nullopt); }
  SUBCASE("inline, with a time to wake at") { run(false, std::chrono::microseconds(20)); }
  SUBCASE("in io-wq, with a time to wake at") { run(true, std::chrono::microseconds(20)); }
}

TEST_CASE(
    "random files, missing ones and directories among them, each give their own result once") {
  const TempDir dir;
  const NamedFiles files(dir, 53);
  dir.write("directory/x", "x");
  const char* fixed = std::getenv("RINGFEED_TEST_SEED");
  const unsigned seed = fixed ? static_cast<unsigned>(std::atoi(fixed)) : std::random_device{}();
  MESSAGE("RINGFEED_TEST_SEED=" << seed);
  on_every_engine([&](Kind kind) {
    const Deadline deadline(120);
    std::mt19937 random(seed);
    const auto engine = make(kind, 1 + random() % 12, dir.path());
    std::vector<Bytes> buffers(engine->slots(), Bytes(1 << 14));
    std::vector<int> running(engine->slots(),
                             -1);  // file, or count() missing, count() + 1 directory
    std::vector<Engine::Completion> out;
    int started = 0, finished = 0;
    while (finished < 3000) {
      for (std::uint32_t slot = 0; slot < engine->slots() && started < 3000; ++slot) {
        if (running[slot] >= 0 || random() % 3 == 0) continue;
        const int file = static_cast<int>(random() % static_cast<unsigned>(files.count() + 2));
        running[slot] = file;
        ++started;
        const char* path = file < files.count()    ? files.name(file)
                           : file == files.count() ? "missing"
                                                   : "directory";
        engine->open_and_read(slot, path, buffers[slot], 0);
      }
      out.clear();
      engine->poll(some_time(random, started > finished), out);
      for (const auto& done : out) {
        const int file = std::exchange(running[done.slot], -1);
        REQUIRE(file >= 0);  // else a second completion
        ++finished;
        if (file == files.count()) {
          CHECK(done.result == -ENOENT);
        } else if (file > files.count()) {
          CHECK(done.result == -EISDIR);
        } else {
          REQUIRE(done.result > 0);
          CHECK(text_of(buffers[done.slot], done.result) == files.content(file));
        }
      }
    }
  });
}

}  // namespace
}  // namespace ringfeed::io
