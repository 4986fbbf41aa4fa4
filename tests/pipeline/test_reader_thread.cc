// The reader thread's loop, in simulation: see pipeline/simulation.h.

#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <random>

#include "pipeline/simulation.h"

namespace ringfeed::pipeline {
namespace {

/// $RINGFEED_TEST_SEED repeats a run from the seed that it printed.
void over_seeds(int runs, const std::function<Scenario(std::mt19937&)>& make) {
  const char* given = std::getenv("RINGFEED_TEST_SEED");
  const unsigned first =
      given ? static_cast<unsigned>(std::strtoul(given, nullptr, 10)) : std::random_device{}();
  for (int i = 0; i < runs; ++i) {
    const unsigned seed = first + static_cast<unsigned>(i);
    INFO("seed " << seed);
    std::mt19937 random(seed);
    Simulation(make(random), seed).run();
  }
}

TEST_CASE("no seed stalls an epoch or passes the byte bound") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 50 + random() % 200;
    s.batch = 1 + random() % 40;
    s.prefetch = 1 + random() % 3;
    s.bytes = (2 + random() % 40) * page;
    s.slots = 1 + static_cast<std::uint32_t>(random() % 16);
    s.max_file = (2 + random() % 60) * page;
    s.large = (random() % 3) * 0.3;
    s.broken = (random() % 2) * 0.05;
    s.starved = (random() % 2) * 0.1;
    s.damaged = (random() % 2) * 0.1;
    s.in_order = random() % 2 == 0;
    return s;
  });
}

TEST_CASE("substitutes for what fails take no bytes and no slots that others wait for") {
  over_seeds(100, [](std::mt19937& random) {
    Scenario s;
    s.samples = 50 + random() % 200;
    s.batch = 1 + random() % 40;
    s.bytes = (2 + random() % 40) * page;
    s.slots = 1 + static_cast<std::uint32_t>(random() % 16);
    s.max_file = (2 + random() % 60) * page;
    s.large = (random() % 3) * 0.3;
    s.broken = 0.1 + (random() % 2) * 0.5;
    s.starved = (random() % 2) * 0.1;
    s.damaged = 0.2;
    s.on_error = OnError::replace;
    s.retries = static_cast<int>(random() % 3);
    s.in_order = random() % 2 == 0;
    return s;
  });
}

TEST_CASE("every file several times the guess, with memory at its minimum, does not deadlock") {
  over_seeds(50, [](std::mt19937&) {
    Scenario s;
    s.bytes = 2 * page;
    s.max_file = 8 * page;
    s.large = 1.0;
    return s;
  });
}

TEST_CASE("an epoch abandoned at any moment leaves all its bytes and slots to the next") {
  over_seeds(100, [](std::mt19937& random) {
    Scenario s;
    s.samples = 100;
    s.bytes = (2 + random() % 10) * page;
    s.abandon_after = 1 + random() % 600;
    s.large = 0.5;
    s.broken = (random() % 2) * 0.2;
    s.retries = 4;
    s.starved = 0.1;
    return s;
  });
}

TEST_CASE("a stop at any moment drains") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 100;
    s.stop_after = 1 + random() % 600;
    s.large = 0.5;
    s.broken = (random() % 2) * 0.2;
    s.retries = 4;
    s.starved = 0.1;
    return s;
  });
}

/// A reader thread whose engine gives what `done` holds, over one sample in a batch of one.
struct OneSample {
  OneSample() {
    engine.files["0"] = "\xFF\xD9";
    engine.on_poll = [this](auto, auto& out) { std::swap(out, done); };
    inbox.post([this] { thread.begin(epoch); });
  }
  ~OneSample() {
    stopping = true;
    epoch->channel.cancel();
    while (!engine.operations.empty()) done.push_back(engine.refuse(0, ECANCELED));
    while (thread.turn({})) {
    }
  }
  void queue() {
    epoch->queue.push(std::make_shared<const PlannedBatch>(PlannedBatch{0, 0, {{}}}));
  }
  void read() { done.push_back(engine.answer(0)); }

  const Settings settings = settings_of({});
  const ImageFolder dataset = folder_of(1);
  io::FakeEngine engine{1};
  FakeDecoders decoders{[](auto...) { return tl::expected<void, decode::Failure>(); }};
  coro::Inbox inbox{[] {}};
  Published published;
  std::atomic<bool> stopping{false};
  std::vector<io::Engine::Completion> done;
  std::shared_ptr<EpochLink> epoch = std::make_shared<EpochLink>(settings, 0);
  ReaderThread thread{{engine, inbox, decoders, dataset, settings, published, stopping}};
};

using Idle = sample::Decoders::Idle;

TEST_CASE("decoders starve while a file is being read, and nothing else waits") {
  OneSample loader;
  loader.queue();
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::starved);
}

TEST_CASE("decoders are blocked where a sample has been read and no batch is open for it") {
  OneSample loader;
  loader.queue();
  loader.thread.turn({});
  loader.read();
  loader.thread.turn({});
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::blocked);
}

TEST_CASE("decoders are blocked where the consumer gives no order") {
  OneSample loader;
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::blocked);
}

TEST_CASE("decoders have finished where the order has ended") {
  OneSample loader;
  loader.epoch->queue.close();
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::finished);
}

}  // namespace
}  // namespace ringfeed::pipeline
