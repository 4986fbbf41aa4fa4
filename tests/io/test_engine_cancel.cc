// Cancelling, and opens that storage does not answer.
#include <algorithm>
#include <cerrno>
#include <map>
#include <random>
#include <thread>

#include "engine_test.h"
#include "support/held_opens.h"

namespace ringfeed::io {
namespace {

using testing::HeldOpens;

const std::vector<Kind> that_block_elsewhere = {Kind::ring_in_io_wq, Kind::pool};

TEST_CASE("what queues behind a stuck open is cancelled; the stuck one completes once, later") {
  const TempDir dir;
  for (int i = 0; i < 8; ++i) dir.write(numbered("f", i), "content");
  on_every_engine(
      [&](Kind kind) {
        const HeldOpens opens(dir.path());
        if (!opens.works()) {
          MESSAGE("SKIPPED, fanotify permission events need root");
          return;
        }
        const Deadline deadline(60);
        const auto engine = make(kind, 8, dir.path(), 1);
        std::vector<Bytes> buffers(8, Bytes(64));
        std::vector<std::string> names;
        for (int i = 0; i < 8; ++i) names.push_back(numbered("f", i));
        std::vector<Engine::Completion> out;
        for (std::uint32_t i = 0; i < 8; ++i) {
          engine->open_and_read(i, names[i].c_str(), buffers[i], 0);
        }
        engine->poll(Engine::at_once, out);
        const auto stuck = opens.next();
        for (std::uint32_t i = 0; i < 8; ++i) {
          engine->cancel(i);
          engine->cancel(i);  // asking twice changes nothing
        }
        while (out.size() < 7) engine->poll(Engine::for_ever, out);
        std::map<std::uint32_t, int> results;
        for (const auto& done : out) {
          CHECK(results.emplace(done.slot, done.result).second);
          CHECK(done.step == Engine::Step::open);
          CHECK(done.result == -ECANCELED);
        }
        CHECK(results.size() == 7);

        opens.allow(stuck);
        const auto last = wait_for_some(*engine);
        REQUIRE(last.size() == 1);
        CHECK(results.count(last[0].slot) == 0);
        // The kernel may drop the read that follows, or finish it.
        CHECK((last[0].result == 7 || last[0].result == -ECANCELED || last[0].result == -EINTR));
      },
      that_block_elsewhere);
}

TEST_CASE("a stuck open blocks no other file, and wake() still ends the wait") {
  const TempDir dir;
  dir.write("held/file", "held");
  dir.write("free/file", "free");
  on_every_engine(
      [&](Kind kind) {
        const HeldOpens opens(dir / "held");
        if (!opens.works()) {
          MESSAGE("SKIPPED, fanotify permission events need root");
          return;
        }
        const Deadline deadline(60);
        const auto engine = make(kind, 2, dir.path());
        Bytes held(16), free(16);
        std::vector<Engine::Completion> out;
        engine->open_and_read(0, "held/file", held, 0);
        engine->poll(Engine::at_once, out);
        const auto stuck = opens.next();
        CHECK(read_alone(*engine, "free/file", free, 0, 1).result == 4);
        engine->wake();
        engine->poll(Engine::for_ever, out);
        CHECK(out.empty());
        opens.allow(stuck);
        CHECK(wait_for_some(*engine).at(0).slot == 0);
        CHECK(text_of(held, 4) == "held");
      },
      that_block_elsewhere);
}

TEST_CASE("as many opens wait at once as there are slots") {
  const TempDir dir;
  dir.write("f", "content");
  on_every_engine(
      [&](Kind kind) {
        const HeldOpens opens(dir.path());
        if (!opens.works()) {
          MESSAGE("SKIPPED, fanotify permission events need root");
          return;
        }
        const Deadline deadline(60);
        // Beyond the kernel's own limit of 4 x CPUs threads.
        const std::uint32_t slots = 4 * std::thread::hardware_concurrency() + 8;
        const auto engine = make(kind, slots, dir.path());
        std::vector<Bytes> buffers(slots, Bytes(16));
        for (std::uint32_t i = 0; i < slots; ++i) engine->open_and_read(i, "f", buffers[i], 0);
        std::vector<Engine::Completion> out;
        engine->poll(Engine::at_once, out);
        std::vector<fanotify_event_metadata> held;
        while (held.size() < slots) held.push_back(opens.next());
        CHECK(out.empty());
        for (const auto& event : held) opens.allow(event);
        while (out.size() < slots) engine->poll(Engine::for_ever, out);
        CHECK(std::all_of(out.begin(), out.end(), [](const auto& d) { return d.result == 7; }));
      },
      {Kind::ring_in_io_wq});  // the pool: test_pool_threads.cc
}

TEST_CASE("a read that would be polled for ever is ended by cancel") {
  on_every_engine(
      [](Kind kind) {
        const Deadline deadline(60);
        Bytes buffer(64);
        const auto engine = make(kind, 2, "/");
        std::vector<Engine::Completion> out;
        engine->open_and_read(0, "dev/ptmx", buffer, 0);  // a terminal at which nobody types
        while (out.empty()) {  // one request that comes between the open and the read is lost
          engine->poll(Engine::at_once, out);
          engine->cancel(0);
          std::this_thread::yield();
        }
        CHECK(out.size() == 1);
        CHECK(out[0].result < 0);
      },
      {Kind::ring, Kind::ring_in_io_wq});
}

TEST_CASE("cancelled at any moment, every operation completes exactly once and slots stay usable") {
  const TempDir dir;
  for (int i = 0; i < 20; ++i) dir.write(numbered("f", i), numbered("file ", i));
  const char* fixed = std::getenv("RINGFEED_TEST_SEED");
  const unsigned seed = fixed ? static_cast<unsigned>(std::atoi(fixed)) : std::random_device{}();
  MESSAGE("RINGFEED_TEST_SEED=" << seed);
  on_every_engine([&](Kind kind) {
    const Deadline deadline(120);
    std::mt19937 random(seed);
    const auto engine = make(kind, 8, dir.path(), random() % 3);
    struct Running {
      int file = -1;
      bool cancelled = false;
      std::string path;
      Bytes buffer = Bytes(64);
    };
    std::vector<Running> slots(engine->slots());
    std::vector<Engine::Completion> out;
    int started = 0, finished = 0, cancelled = 0;
    while (finished < 4000) {
      for (std::uint32_t i = 0; i < slots.size(); ++i) {
        Running& s = slots[i];
        if (s.file < 0 && started < 4000 && random() % 4 != 0) {
          s.file = static_cast<int>(random() % 20);
          s.cancelled = false;
          s.path = numbered("f", s.file);
          engine->open_and_read(i, s.path.c_str(), s.buffer, 0);
          ++started;
        }
        if (random() % 5 == 0) {
          engine->cancel(i);  // idle slots too
          s.cancelled = true;
        }
      }
      out.clear();
      engine->poll(some_time(random, started > finished), out);
      for (const auto& done : out) {
        Running& s = slots[done.slot];
        const std::string expected = numbered("file ", s.file);
        REQUIRE(s.file >= 0);
        s.file = -1;
        ++finished;
        if (done.result >= 0) {
          CHECK(text_of(s.buffer, done.result) == expected);
        } else {
          ++cancelled;
          CHECK(s.cancelled);  // never the slot's next file
          CHECK((done.result == -ECANCELED || done.result == -EINTR));
        }
      }
    }
    engine->poll(Engine::at_once, out = {});
    CHECK(out.empty());
    CHECK(cancelled < 4000);
  });
}

}  // namespace
}  // namespace ringfeed::io
