#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "coro/owner.h"
#include "sample/decode_pool.h"

namespace ringfeed {
namespace {

using sample::Reserve;

/// A reserve whose samples go on when the test says so.
struct Fixture : coro::Owner {
  std::vector<sample::Job> jobs;  // that have got their memory
  Reserve reserve;
  std::vector<Reserve::Grant> grants = std::vector<Reserve::Grant>(16);  // by sequence
  std::vector<std::uint64_t> granted;

  explicit Fixture(sample::UsualNeed usual = {})
      : reserve(100, [this](const sample::Job& job) { jobs.push_back(job); }, usual) {}

  static coro::Task sample(Fixture& self, std::uint64_t sequence, std::size_t bytes) {
    sample::Maker* maker = nullptr;
    self.grants[sequence] = co_await self.reserve.take(sequence, bytes, maker);
    self.granted.push_back(sequence);
  }
  void ask(std::uint64_t sequence, std::size_t bytes) {
    scope.spawn(sample(*this, sequence, bytes));
  }
  void give_back(std::uint64_t sequence) {
    grants[sequence] = {};
    for (const sample::Job& job : std::exchange(jobs, {})) job.handle.resume();
  }
  ~Fixture() { turn(); }
};

using Sequences = std::vector<std::uint64_t>;

TEST_CASE("memory that is free is granted at once") {
  Fixture f;
  f.ask(1, 60);
  f.ask(0, 40);
  CHECK(f.granted == Sequences{1, 0});
  CHECK(f.reserve.waiting() == 0);
  CHECK(f.reserve.waits().count == 0);
}

TEST_CASE("the lowest sequence comes first, whenever it asked") {
  Fixture f;
  f.ask(3, 100);
  for (const std::uint64_t sequence : {5, 4, 6, 1}) f.ask(sequence, 100);
  CHECK(f.reserve.waiting() == 4);
  for (const std::uint64_t sequence : {3, 1, 4, 5}) f.give_back(sequence);
  CHECK(f.granted == Sequences{3, 1, 4, 5, 6});
  CHECK(f.reserve.waits().count == 4);
}

TEST_CASE("none passes an older one that waits, an older one passes those that do") {
  Fixture f;
  f.ask(2, 60);
  f.ask(3, 60);
  f.ask(4, 10);  // there is room
  CHECK(f.granted == Sequences{2});
  f.ask(1, 40);
  CHECK(f.granted == Sequences{2, 1});
  f.give_back(1);
  CHECK(f.granted == Sequences{2, 1});
  f.give_back(2);
  CHECK(f.granted == Sequences{2, 1, 3, 4});
}

TEST_CASE("a need of more than there is gets all, alone") {
  Fixture f;
  f.ask(0, 1);
  f.ask(1, 1000);
  f.ask(2, 1);
  CHECK(f.granted == Sequences{0});
  f.give_back(0);
  CHECK(f.granted == Sequences{0, 1});
  f.give_back(1);
  CHECK(f.granted == Sequences{0, 1, 2});
}

TEST_CASE("a usual need passes one that waits, unless that is to get nearly all") {
  Fixture f(sample::UsualNeed{.each = 10, .all = 20});
  f.ask(0, 60);
  f.ask(1, 70);
  f.ask(2, 10);
  f.ask(3, 11);  // not usual
  CHECK(f.granted == Sequences{0, 2});
  f.give_back(0);
  CHECK(f.granted == Sequences{0, 2, 1, 3});
  f.give_back(3);
  f.ask(4, 90);
  f.ask(5, 10);
  CHECK(f.granted == Sequences{0, 2, 1, 3});
  for (const std::uint64_t sequence : {1, 2}) f.give_back(sequence);
  CHECK(f.granted == Sequences{0, 2, 1, 3, 4, 5});
}

struct Crowd : coro::Owner {
  sample::DecodePool pool{8, {TransformPlan::imagenet_train()}, {}};
  std::atomic<std::size_t> in_use{0}, passed{0}, done{0};
};

coro::Task take_turns(Crowd& crowd, std::uint64_t sequence, std::size_t bytes) {
  sample::Maker* maker = &co_await crowd.pool.schedule(sequence);
  Reserve& reserve = crowd.pool.reserve();
  for (int i = 0; i < 3; ++i) {
    const Reserve::Grant grant = co_await reserve.take(sequence, bytes, maker);
    const std::size_t granted = std::min(bytes, reserve.capacity());
    if (crowd.in_use.fetch_add(granted) + granted > reserve.capacity()) ++crowd.passed;
    std::this_thread::yield();
    crowd.in_use -= granted;
  }
  ++crowd.done;
}

TEST_CASE("threads never hold more than the reserve, and every sample gets its turn") {
  Crowd crowd;
  const std::size_t all = crowd.pool.reserve().capacity();
  constexpr std::uint64_t samples = 2000;
  for (std::uint64_t i = 0; i < samples; ++i) {
    const std::uint64_t sequence = i ^ 7;  // the oldest asks last
    crowd.scope.spawn(take_turns(crowd, sequence, all / (1 + i % 5) + all / 9 * (i % 2)));
  }
  while (crowd.scope.size() > 0) crowd.turn();
  CHECK(crowd.done == samples);
  CHECK(crowd.passed == 0);
  CHECK(crowd.pool.reserve().waiting() == 0);
}

}  // namespace
}  // namespace ringfeed
