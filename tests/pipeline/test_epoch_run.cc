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
  explicit Fixture(LoaderOptions options = testing::small_options(),
                   TransformPlan plan = testing::small_plan())
      : plans{std::move(plan)}, settings(resolve(std::move(options), plans, dataset)) {}

  EpochRun run() {
    const auto order = data::in_batches(
        data::EpochOrder(dataset.size(), {}, order_options(settings, 0)), 4, false);
    return EpochRun({.dataset = dataset,
                     .plans = plans,
                     .settings = settings,
                     .published = published,
                     .begin = [this](std::shared_ptr<EpochLink> epoch) { link = epoch; },
                     .notify = [this] { ++notified; },
                     .outstanding = [this] { return reading; },
                     .memory_room = [this] { return room; }},
                    0, order, std::nullopt, {});
  }

  const ImageFolder dataset = testing::open(testing::folder().root());
  const std::vector<TransformPlan> plans;
  const Settings settings;
  Published published;
  std::shared_ptr<EpochLink> link;
  int notified = 0;
  std::optional<std::vector<std::string>> reading;
  std::optional<MemoryRoom> room;
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

/// Batches of 48 MB, of which nothing is written here. Out of order all that are ahead get memory
/// at once.
Fixture with_large_batches(int prefetch_factor, std::size_t memory_limit = 0) {
  LoaderOptions options = testing::small_options();
  options.batch_size = 4;
  options.prefetch_factor = prefetch_factor;
  options.memory_limit = memory_limit;
  options.in_order = false;
  options.timeout = 1ms;
  TransformPlan plan = testing::small_plan();
  plan.geometry = RandomResizedCrop{.height = 1000, .width = 1000};
  return Fixture(options, plan);
}

std::string refusal(EpochRun& run) {
  try {
    run.next();
  } catch (const TimeoutError&) {
    return "none";  // there was memory for the batches, and nothing comes
  } catch (const std::bad_alloc& error) {
    return error.what();
  }
  return "a batch";
}

TEST_CASE("batches that cannot fit are refused before they are written, with what to lower") {
  Fixture loader = with_large_batches(1);
  EpochRun run = loader.run();
  loader.room = MemoryRoom{.all = 40'000'000, .share = 1, .found = {.limit = 50'000'000}};
  const std::string one =
      "a batch takes 48001024 bytes, and of the 50000000 bytes that this machine has, 40000000 are "
      "left; lower batch_size, or make more memory available";
  CHECK(refusal(run) == one);
  CHECK(refusal(run) == one);
  loader.room->found.swap = 10'000'000;
  CHECK(refusal(run) == "none");  // no batch has been lost
}

TEST_CASE("what is refused is what is held at once, and nothing where the caller gives a limit") {
  const MemoryRoom two_batches{
      .all = 120'000'000, .share = 1, .found = {.limit = 150'000'000, .of_cgroup = true}};
  Fixture loader = with_large_batches(3);
  loader.room = two_batches;
  EpochRun run = loader.run();
  std::string said = refusal(run);
  CHECK(
      said.starts_with("3 batches are held at once, each of 48001024 bytes, and of the 150000000"));
  CHECK(
      said.ends_with("bytes that this container may use, 120000000 are left; lower batch_size or "
                     "prefetch_factor, or make more memory available"));
  loader.room->all = 200'000'000;
  EpochRun fits = loader.run();
  CHECK(refusal(fits) == "none");
  Fixture limited = with_large_batches(3, std::size_t{1} << 40);
  limited.room = two_batches;
  EpochRun trusted = limited.run();
  CHECK(refusal(trusted) == "none");
}

TEST_CASE("the reader thread is told of every batch that gets memory") {
  Fixture loader = with_timeout();
  EpochRun run = loader.run();
  CHECK_THROWS_AS(run.next(), TimeoutError);
  CHECK(loader.notified >= 1);  // of the first; no other has any before that is taken
}

}  // namespace
}  // namespace ringfeed::pipeline
