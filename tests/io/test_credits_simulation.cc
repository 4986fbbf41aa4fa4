// A deterministic simulation of a whole epoch under the credit rules: the real reader, credits and
// channel, with files, completions, decoders and consumer played by a seeded random generator.

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>

#include "batch/channel.h"
#include "coro/scope.h"
#include "fake_engine.h"
#include "io/reader.h"
#include "pipeline/sequence_tracker.h"

using namespace ringfeed;
using namespace ringfeed::io;
using ringfeed::pipeline::SequenceTracker;

namespace {

constexpr std::size_t page = Arena::page;

struct Scenario {
  std::size_t samples = 300;
  std::size_t batch = 16;
  std::size_t prefetch = 2;
  std::size_t bytes = 16 * page;
  std::uint32_t slots = 8;
  std::size_t max_file = 32 * page;
  double large = 0.2;     // files far over the guess
  double broken = 0.02;   // reads that fail
  double starved = 0.02;  // opens refused for want of descriptors
  bool in_order = true;
  std::size_t stop_after = SIZE_MAX;  // steps
};

struct Simulation;

struct Flight {
  Flight(SequenceTracker& t, Buffer u) : tracker(&t), sequence(t.begin()), buffer(std::move(u)) {}
  Flight(Flight&& o) noexcept
      : tracker(std::exchange(o.tracker, nullptr)),
        sequence(o.sequence),
        buffer(std::move(o.buffer)) {}
  ~Flight() {
    if (tracker) tracker->finish(sequence);
  }
  SequenceTracker* tracker;
  std::uint64_t sequence;
  Buffer buffer;
};

struct Simulation {
  Simulation(const Scenario& s, unsigned seed)
      : scenario(s),
        random(seed),
        engine(s.slots),
        credits(s.bytes, Reader::reserve_bytes(s.max_file)),
        channel(s.prefetch, s.in_order) {
    channel.close((s.samples + s.batch - 1) / s.batch);
    ReaderOptions options;
    options.max_file_bytes = s.max_file;
    options.path_of = [](std::uint64_t file, std::string& out) { out = std::to_string(file); };
    options.ends_cleanly = [](std::span<const std::byte> t) { return t.back() == std::byte{'.'}; };
    reader = std::make_unique<Reader>(engine, credits, std::move(options));
    for (std::size_t i = 0; i < s.samples; ++i) {
      const bool large = chance(s.large);
      const std::size_t size = 1 + random() % (large ? s.max_file : 2 * page);
      engine.files[std::to_string(i)] =
          std::string(size - 1, static_cast<char>('a' + i % 26)) + '.';
    }
  }

  coro::FramePool& frames() { return pool; }
  bool chance(double p) { return std::uniform_real_distribution<>()(random) < p; }

  /// One turn of the reader thread's loop.
  void turn();
  void consume();
  /// Lets one random outstanding thing happen; false if there is none.
  bool happen();
  void run();

  Scenario scenario;
  std::mt19937 random;
  FakeEngine engine;
  Credits credits;
  std::unique_ptr<Reader> reader;
  batch::Channel channel;
  SequenceTracker tracker;
  coro::FramePool pool;
  coro::Inbox inbox{[] {}};
  coro::Scope scope{inbox};
  std::vector<std::coroutine_handle<>> decoding, finished;
  std::vector<std::function<void()>> calls;
  std::size_t next = 0;
  std::size_t opened = 0, delivered = 0, failed_batches = 0;
  std::size_t failures = 0, wrong = 0;
  std::vector<std::byte> pixels = std::vector<std::byte>(3 * 1024);
  bool stopped = false;
};

coro::Task sample(Simulation& sim, std::size_t k, Flight flight) {
  auto file = co_await sim.reader->read({}, flight.sequence, k, flight.buffer);
  auto cell = co_await sim.channel.await_cell({k / sim.scenario.batch, k % sim.scenario.batch});
  if (!cell) co_return;
  if (!file) {
    ++sim.failures;
    cell.fail(file.error());
    co_return;
  }
  struct Decode {
    Simulation& sim;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) { sim.decoding.push_back(handle); }
    void await_resume() {}
  };
  co_await Decode{sim};
  const std::string& content = sim.engine.files[std::to_string(k)];
  if (content !=
      std::string_view(reinterpret_cast<const char*>(flight.buffer.data()), file->size)) {
    ++sim.wrong;
  }
  cell.finish();
}

void Simulation::turn() {
  do {
    inbox.take(finished, calls);
    for (auto handle : finished) scope.collect(handle);
    reader->serve({}, tracker.oldest());
    channel.resume_cells();
    while (!stopped && next < scenario.samples && reader->can_start()) {
      Buffer buffer = credits.try_acquire(reader->guess());
      if (!buffer) break;
      scope.spawn(sample(*this, next++, Flight(tracker, std::move(buffer))));
    }
    REQUIRE(credits.in_use() <= scenario.bytes + Reader::reserve_bytes(scenario.max_file));
  } while (!inbox.prepare_to_sleep(scope.wake_after(reader->unfinished() + channel.waiting(),
                                                    reader->short_of_room() ? 8 : 32)));
}

void Simulation::consume() {
  while (opened * scenario.batch < scenario.samples && channel.has_room()) {
    Batch batch;
    batch.number = static_cast<std::int64_t>(opened);
    batch.height = batch.width = 1;
    batch.dtype = DType::uint8;
    batch.labels.resize(std::min(scenario.batch, scenario.samples - opened * scenario.batch));
    batch.memory.data = pixels.data();
    channel.open(std::move(batch));
    ++opened;
  }
  if (auto delivery = channel.take(std::chrono::steady_clock::time_point{})) {
    if (scenario.in_order) {
      REQUIRE(delivery->batch.number == static_cast<std::int64_t>(delivered));
    }
    ++delivered;
    failed_batches += delivery->error.has_value();
  }
}

bool Simulation::happen() {
  const std::size_t operations = engine.operations.size();
  const std::size_t choices = operations + decoding.size();
  if (choices == 0) return false;
  const std::size_t i = random() % choices;
  if (i >= operations) {
    const auto handle = decoding[i - operations];
    decoding.erase(decoding.begin() + static_cast<std::ptrdiff_t>(i - operations));
    handle.resume();
  } else if (engine.operations[i].cancelled && chance(0.5)) {
    reader->complete({}, engine.refuse(i, ECANCELED));
  } else if (engine.operations[i].open && chance(scenario.starved)) {
    reader->complete({}, engine.refuse(i, EMFILE));
  } else if (chance(scenario.broken)) {
    reader->complete({}, engine.break_read(i, EIO));
  } else {
    reader->complete({}, engine.answer(i, chance(0.1) ? 1 + random() % page : SIZE_MAX));
  }
  return true;
}

void Simulation::run() {
  std::size_t steps = 0;
  while (!channel.exhausted() && !stopped) {
    turn();
    if (chance(0.3)) consume();
    if (!happen()) {
      // Nothing is outstanding, so it is the consumer's turn, and then there must be work again.
      const std::size_t before = opened + delivered;
      consume();
      turn();
      const bool work = !engine.operations.empty() || !decoding.empty() || channel.ready() > 0;

      REQUIRE_MESSAGE((opened + delivered != before || work || channel.exhausted()), "stalled");
    }

    REQUIRE(++steps < 400 * scenario.samples);
    if (steps == scenario.stop_after) {
      stopped = true;
      channel.cancel();
      reader->cancel_before(UINT64_MAX);
    }
  }
  for (std::size_t drain = 0; scope.size() > 0; ++drain) {
    inbox.notify();
    turn();
    happen();
    REQUIRE_MESSAGE(drain < 400 * scenario.samples, "never drains");
  }
  CHECK(wrong == 0);
  CHECK(credits.in_use() == 0);
  CHECK(tracker.oldest() == next);
  if (!stopped) {
    CHECK(next == scenario.samples);
    CHECK((failures == 0) == (failed_batches == 0));
  }
}

void over_seeds(int runs, const std::function<Scenario(std::mt19937&)>& make) {
  const unsigned first = std::random_device{}();
  for (int i = 0; i < runs; ++i) {
    const unsigned seed = first + static_cast<unsigned>(i);
    INFO("seed " << seed);
    std::mt19937 random(seed);
    Simulation(make(random), seed).run();
  }
}

}  // namespace

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

TEST_CASE("a stop at any step drains and gives every byte back") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 100;
    s.stop_after = 1 + random() % 600;
    s.large = 0.5;
    s.starved = 0.1;
    return s;
  });
}
