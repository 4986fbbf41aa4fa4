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

TEST_CASE("huge images that wait for each other's memory stall no epoch") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 50 + random() % 100;
    s.batch = 1 + random() % 40;
    s.prefetch = 1 + random() % 3;
    s.bytes = (2 + random() % 20) * page;
    s.max_file = (2 + random() % 60) * page;
    s.large = (random() % 3) * 0.3;
    s.huge = random() % 2 == 0 ? 1 : 0.3;
    s.damaged = (random() % 2) * 0.1;
    s.broken = (random() % 2) * 0.05;
    if (random() % 2 == 0) s.on_error = OnError::replace;
    s.in_order = random() % 2 == 0;
    return s;
  });
}

TEST_CASE("an end at any moment wakes those that wait for the memory of huge images") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 100;
    s.huge = 0.8;
    s.damaged = (random() % 2) * 0.2;
    (random() % 2 == 0 ? s.stop_after : s.abandon_after) = 1 + random() % 600;
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

/// A reader thread whose engine gives what `done` holds, over batches of one sample each.
struct OneSample {
  explicit OneSample(std::size_t batches = 0, std::size_t prefetch = 1,
                     OnError on_error = OnError::raise, int retries = 0)
      : settings(settings_of({.prefetch = prefetch,
                              .bytes = 256 * page,
                              .on_error = on_error,
                              .retries = retries})) {
    engine.files["0"] = "\xFF\xD9";
    engine.on_poll = [this](auto, auto& out) { std::swap(out, done); };
    inbox.post([this] { thread.begin(epoch); });
    for (std::size_t i = 0; i < batches; ++i) plan(i);
    if (batches > 0) epoch->queue.close();
  }
  ~OneSample() {
    stopping = true;
    epoch->channel.cancel();
    while (decoders.queued() > 0) decoders.run(0);
    while (!engine.operations.empty()) done.push_back(engine.refuse(0, ECANCELED));
    while (thread.turn({})) {
    }
  }
  void plan(std::size_t i) {
    epoch->queue.push(std::make_shared<const PlannedBatch>(PlannedBatch{i, i, {{}}}));
  }
  void open() {
    Batch batch;
    batch.number = static_cast<std::int64_t>(opened++);
    batch.views = {{.height = 1, .width = 1, .dtype = DType::uint8}};
    batch.labels.resize(1);
    batch.memory.data = pixel;
    epoch->channel.open(std::move(batch));
  }
  void read() { done.push_back(engine.answer(0)); }

  const Settings settings;
  const ImageFolder dataset = folder_of(1);
  io::FakeEngine engine{4};
  FakeDecoders decoders{[](auto...) { return tl::expected<void, decode::Failure>(); }};
  coro::Inbox inbox{[] {}};
  Published published;
  std::atomic<bool> stopping{false};
  std::size_t opened = 0;
  std::byte pixel[3]{};
  std::vector<io::Engine::Completion> done;
  std::shared_ptr<EpochLink> epoch = std::make_shared<EpochLink>(settings, 0);
  ReaderThread thread{{engine, inbox, decoders, dataset, settings, published, stopping}};
};

TEST_CASE("the reads of an abandoned epoch are given up, and no other file is tried for it") {
  OneSample loader(/*batches=*/1, /*prefetch=*/1, OnError::replace, /*retries=*/5);
  loader.thread.turn({});
  loader.done.push_back(loader.engine.refuse(0, EIO));
  loader.thread.turn({});
  loader.thread.turn({});  // it rests, to be opened again
  REQUIRE(loader.published.files_in_flight == 1);
  loader.epoch->channel.cancel();
  for (int turn = 0; turn < 3; ++turn)
    loader.thread.turn(Clock::time_point(std::chrono::hours(turn)));
  CHECK(loader.engine.operations.empty());
  CHECK(loader.published.files_in_flight == 0);
}

TEST_CASE("a read of an abandoned epoch that is under way is cancelled once") {
  OneSample loader(/*batches=*/1);
  loader.thread.turn({});
  REQUIRE(loader.engine.operations.size() == 1);
  loader.epoch->channel.cancel();
  loader.thread.turn({});
  REQUIRE(loader.engine.operations[0].cancelled);
  loader.engine.operations[0].cancelled = false;
  loader.thread.turn({});
  CHECK_FALSE(loader.engine.operations[0].cancelled);
}

TEST_CASE("files are closed once an epoch has nothing to read any more, and not before") {
  OneSample loader(/*batches=*/2);
  loader.thread.turn({});
  REQUIRE(loader.engine.operations.size() == 2);
  const int at_first = loader.engine.closed_files;
  loader.read();
  loader.thread.turn({});
  loader.thread.turn({});
  CHECK(loader.engine.closed_files == at_first);
  loader.read();
  loader.thread.turn({});
  loader.thread.turn({});
  CHECK(loader.engine.closed_files == at_first + 1);
  CHECK(loader.engine.open.empty());
  loader.thread.turn({});
  CHECK(loader.engine.closed_files == at_first + 1);
}

TEST_CASE("files stay open while the consumer may give more to read") {
  OneSample loader;
  loader.plan(0);
  loader.thread.turn({});
  REQUIRE(loader.engine.operations.size() == 1);
  loader.read();
  loader.thread.turn({});
  loader.thread.turn({});
  CHECK(loader.engine.open.size() == 1);
  CHECK(loader.epoch->queue.close());  // the thread wants to know
  loader.thread.turn({});
  CHECK(loader.engine.open.empty());
}

TEST_CASE("an abandoned epoch's files are closed once its reads are given up") {
  OneSample loader;
  loader.plan(0);
  loader.plan(1);
  loader.thread.turn({});
  loader.read();
  loader.thread.turn({});
  loader.epoch->channel.cancel();
  loader.thread.turn({});
  CHECK(loader.engine.open.size() == 2);
  loader.done.push_back(loader.engine.refuse(0, ECANCELED));
  loader.thread.turn({});
  loader.thread.turn({});
  CHECK(loader.engine.open.empty());
}

TEST_CASE("a file read in place of one that failed is closed too") {
  OneSample loader(/*batches=*/1, /*prefetch=*/1, OnError::replace);
  loader.thread.turn({});
  loader.done.push_back(loader.engine.refuse(0, EIO));
  loader.thread.turn({});
  loader.thread.turn({});
  REQUIRE(loader.engine.operations.size() == 1);
  loader.read();
  loader.thread.turn({});
  loader.thread.turn({});
  CHECK(loader.engine.open.empty());
}

using Idle = sample::Decoders::Idle;

TEST_CASE("decoders starve while a file is being read, and nothing else waits") {
  OneSample loader(/*batches=*/1);
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::starved);
}

TEST_CASE("decoders are blocked only while a complete batch waits for the consumer") {
  OneSample loader(/*batches=*/2);
  loader.thread.turn({});
  loader.open();
  loader.read();
  loader.thread.turn({});  // completes the read
  loader.thread.turn({});
  REQUIRE(loader.decoders.queued() == 1);
  CHECK(loader.decoders.reason() == Idle::starved);  // the second is on its way
  loader.read();
  loader.thread.turn({});
  loader.thread.turn({});
  // It waits for a batch that is not open: what is due is being decoded.
  CHECK(loader.decoders.reason() == Idle::finished);
  loader.decoders.run(0);
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::blocked);
  REQUIRE(loader.epoch->channel.take(Clock::time_point{}));
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::finished);
}

TEST_CASE("a slow read of the batch that is due starves the decoders, whatever else is complete") {
  OneSample loader(/*batches=*/3, /*prefetch=*/2);
  loader.thread.turn({});
  loader.open();
  loader.open();
  REQUIRE(loader.engine.operations.size() == 3);
  for (int later = 0; later < 2; ++later) {  // the first one's read does not come
    loader.done.push_back(loader.engine.answer(1));
    loader.thread.turn({});
    loader.thread.turn({});
  }
  REQUIRE(loader.decoders.queued() == 1);
  loader.decoders.run(0);
  loader.thread.turn({});
  CHECK(loader.epoch->channel.ready() == 1);
  CHECK(loader.decoders.reason() == Idle::starved);
}

TEST_CASE("decoders wait for the order where the consumer gives none") {
  OneSample loader;
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::unordered);
}

TEST_CASE("decoders have finished where the order has ended") {
  OneSample loader;
  loader.epoch->queue.close();
  loader.thread.turn({});
  CHECK(loader.decoders.reason() == Idle::finished);
}

}  // namespace
}  // namespace ringfeed::pipeline
