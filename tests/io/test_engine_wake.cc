// wake() ends a blocking poll, now or the next one, from any thread.
#include <atomic>
#include <thread>

#include "engine_test.h"

namespace ringfeed::io {
namespace {

TEST_CASE("a wake-up before the wait ends it, once") {
  const TempDir dir;
  dir.write("f", "content");
  on_every_engine([&](Kind kind) {
    const Deadline deadline(60);
    const auto engine = make(kind, 2, dir.path());
    std::vector<Engine::Completion> out;
    engine->wake();
    engine->wake();
    engine->poll(Engine::at_once, out);  // does not use the wake-up up
    engine->poll(Engine::for_ever, out);
    CHECK(out.empty());
    // Used up now: the next wait lasts until the file is there.
    Bytes buffer(16);
    engine->open_and_read(0, "f", buffer, 0);
    engine->poll(Engine::for_ever, out);
    CHECK(out.size() == 1);
  });
}

TEST_CASE("a poll with a time to wake at ends there, sooner with a completion or a wake-up") {
  const TempDir dir;
  dir.write("f", "content");
  on_every_engine([&](Kind kind) {
    const Deadline deadline(60);
    const auto engine = make(kind, 2, dir.path());
    std::vector<Engine::Completion> out;
    const auto end = Engine::Clock::now() + std::chrono::milliseconds(5);
    engine->poll(end, out);
    CHECK(Engine::Clock::now() >= end);
    engine->poll(end, out);  // over already
    CHECK(out.empty());

    const auto late = Engine::Clock::now() + std::chrono::hours(1);
    engine->wake();
    engine->poll(late, out);
    CHECK(out.empty());
    Bytes buffer(16);
    engine->open_and_read(0, "f", buffer, 0);
    engine->poll(late, out);
    CHECK(out.size() == 1);
  });
}

TEST_CASE("no wake-up is lost while others hammer and files are read") {
  const TempDir dir;
  dir.write("f", "content");
  on_every_engine([&](Kind kind) {
    const Deadline deadline(120);
    const auto engine = make(kind, 4, dir.path());
    // Each round is a message that only a wake-up announces: if one is lost, the reader sleeps and
    // the poster waits for its answer, for ever.
    constexpr int rounds = 400;
    std::atomic<int> posted = 0, answered = 0;
    std::thread poster([&] {
      for (int i = 1; i <= rounds; ++i) {
        posted.store(i, std::memory_order_release);
        engine->wake();
        while (answered.load(std::memory_order_acquire) < i) std::this_thread::yield();
      }
    });
    std::atomic<bool> stop = false;
    std::thread hammer([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        engine->wake();
        std::this_thread::yield();
      }
    });
    std::vector<Engine::Completion> out;
    Bytes buffer(16);
    bool reading = false;
    int reads = 0;
    while (answered.load() < rounds) {
      // The second half without reads, and the last quarter without the hammer: nothing else then
      // ends a wait.
      if (answered.load() > rounds * 3 / 4 && !stop.exchange(true)) hammer.join();
      if (!reading && answered.load() < rounds / 2) {
        engine->open_and_read(0, "f", buffer, 0);
        reading = true;
      }
      out.clear();
      engine->poll(Engine::for_ever, out);
      if (!out.empty()) {
        CHECK(out[0].result == 7);
        reading = false;
        ++reads;
      }
      answered.store(posted.load(std::memory_order_acquire), std::memory_order_release);
    }
    poster.join();
    while (reading) {  // its buffer goes before the engine
      out.clear();
      engine->poll(Engine::for_ever, out);
      reading = out.empty();
      ++reads;
    }
    CHECK(reads > 0);
  });
}

}  // namespace
}  // namespace ringfeed::io
