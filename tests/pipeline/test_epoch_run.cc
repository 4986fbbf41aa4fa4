#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/batch_order.h"
#include "pipeline/epoch_run.h"
#include "pipeline/loader_test.h"
#include "ringfeed/error.h"

namespace ringfeed::pipeline {
namespace {

using namespace std::chrono_literals;

/// An epoch of one batch of four, over a loader whose threads the test plays.
struct Fixture {
  explicit Fixture(LoaderOptions options = testing::small_options())
      : settings(resolve(std::move(options), plans, dataset)) {}

  EpochRun run() {
    const auto order = data::in_batches(
        data::EpochOrder(dataset.size(), {}, order_options(settings, 0)), 4, false);
    return EpochRun({.dataset = dataset,
                     .plans = plans,
                     .settings = settings,
                     .published = published,
                     .begin = [this](std::shared_ptr<EpochLink> epoch) { link = epoch; },
                     .notify = [this] { ++notified; },
                     .outstanding = [this] { return reading; }},
                    0, order, std::nullopt, {});
  }

  const ImageFolder dataset = testing::open(testing::folder().root());
  const std::vector<TransformPlan> plans{testing::small_plan()};
  const Settings settings;
  Published published;
  std::shared_ptr<EpochLink> link;
  int notified = 0;
  std::optional<std::vector<std::string>> reading;
};

Fixture with_timeout() {
  LoaderOptions options = testing::small_options();
  options.timeout = 1ms;
  return Fixture(options);
}

TEST_CASE("a reader thread that fails between two calls is an error, not a quiet end") {
  Fixture loader = with_timeout();
  EpochRun run = loader.run();
  CHECK_THROWS_AS(run.next(), TimeoutError);  // begun, and nothing comes
  REQUIRE(loader.link != nullptr);
  loader.link->channel.cancel(std::make_exception_ptr(std::runtime_error("out of memory")));
  CHECK_THROWS_WITH_AS(run.next(), "out of memory", std::runtime_error);
}

TEST_CASE("a loader that is stopped ends the epoch quietly") {
  Fixture loader = with_timeout();
  EpochRun run = loader.run();
  CHECK_THROWS_AS(run.next(), TimeoutError);
  loader.link->channel.cancel();
  CHECK_FALSE(run.next());
}

TEST_CASE("a timeout names what is read, or says what else takes so long") {
  Fixture loader = with_timeout();
  EpochRun run = loader.run();
  const auto message = [&] {
    try {
      run.next();
    } catch (const TimeoutError& error) {
      return std::string(error.what());
    }
    return std::string("no timeout");
  };
  CHECK(
      message() ==
      "no batch within the timeout of 0.001 s; the reading thread itself hangs in the file system");
  loader.reading.emplace();
  CHECK(message().ends_with("no read is outstanding: decoding is slow"));
  loader.reading->push_back("c00/0001.JPEG (5.2 s)");
  CHECK(message().ends_with(":\n  c00/0001.JPEG (5.2 s)"));
}

TEST_CASE("until a batch is taken prefetch_factor batches are read, and the first alone is made") {
  for (const bool in_order : {true, false}) {
    LoaderOptions options = testing::small_options();
    options.timeout = 1ms;
    options.in_order = in_order;
    options.prefetch_factor = 3;
    const auto allocator = std::make_shared<testing::TestAllocator>();
    options.allocator = allocator;
    Fixture loader(options);
    EpochRun run = loader.run();
    CHECK_THROWS_AS(run.next(), TimeoutError);
    // Out of order any of them may be the first.
    CHECK(allocator->calls == (in_order ? 1 : 3));
    std::size_t queued = 0;
    for (; loader.link->queue.ready(); ++queued) loader.link->queue.pop();
    CHECK(queued == 3 * 4);
  }
}

TEST_CASE("the reader thread is told of every batch that gets memory") {
  Fixture loader = with_timeout();
  EpochRun run = loader.run();
  CHECK_THROWS_AS(run.next(), TimeoutError);
  CHECK(loader.notified >= 1);  // of the first; no other has any before that is taken
}

}  // namespace
}  // namespace ringfeed::pipeline
