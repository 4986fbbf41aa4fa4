#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

#include "coro/owner.h"

using namespace ringfeed::coro;

namespace {

/// Counts the living, and remembers on which thread the last one died.
struct Counted {
  static inline int alive = 0;
  static inline std::thread::id died_on;
  Counted() { ++alive; }
  Counted(Counted&&) noexcept { ++alive; }
  Counted& operator=(Counted&&) = delete;
  ~Counted() {
    --alive;
    died_on = std::this_thread::get_id();
  }
};

struct Suspend {
  std::coroutine_handle<>& where;
  bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<> handle) { where = handle; }
  void await_resume() {}
};

Task simple(Owner&, int& steps, Counted) {
  ++steps;
  co_return;
}

Task suspends(Owner&, std::coroutine_handle<>& where, int& steps, Counted) {
  ++steps;
  co_await Suspend{where};
  ++steps;
}

}  // namespace

TEST_CASE("a task does not start until it is spawned and is destroyed unstarted otherwise") {
  Owner owner;
  int steps = 0;
  {
    Task task = simple(owner, steps, Counted{});
    CHECK(steps == 0);
    CHECK(Counted::alive == 1);
  }
  CHECK(steps == 0);
  CHECK(Counted::alive == 0);
}

TEST_CASE("a finished task keeps its parameters until the owner collects it") {
  Owner owner;
  int steps = 0;
  owner.scope.spawn(simple(owner, steps, Counted{}));
  CHECK(steps == 1);
  CHECK(Counted::alive == 1);
  CHECK(owner.scope.size() == 1);
  owner.turn();
  CHECK(Counted::alive == 0);
  CHECK(owner.scope.size() == 0);
}

TEST_CASE("a task finished on another thread has its parameters destroyed on the owner's") {
  Owner owner;
  int steps = 0;
  std::coroutine_handle<> where;
  owner.scope.spawn(suspends(owner, where, steps, Counted{}));
  CHECK(steps == 1);
  std::thread([&] { where.resume(); }).join();
  CHECK(steps == 2);
  CHECK(Counted::alive == 1);
  owner.turn();
  CHECK(Counted::alive == 0);
  CHECK(Counted::died_on == std::this_thread::get_id());
}

TEST_CASE("frames are reused: the second task of a kind gets the first one's frame") {
  Owner owner;
  int steps = 0;
  std::coroutine_handle<> first, second;
  owner.scope.spawn(suspends(owner, first, steps, Counted{}));
  const void* frame = first.address();
  first.resume();
  owner.turn();
  owner.scope.spawn(suspends(owner, second, steps, Counted{}));
  CHECK(second.address() == frame);
  second.resume();
  owner.turn();
}

TEST_CASE("a sleeping owner is woken only after as many retirements as it asked for") {
  Owner owner;
  int steps = 0;
  CHECK(owner.inbox.prepare_to_sleep(3));
  for (int i = 0; i < 2; ++i) owner.scope.spawn(simple(owner, steps, Counted{}));
  CHECK(owner.wakes == 0);
  owner.scope.spawn(simple(owner, steps, Counted{}));
  CHECK(owner.wakes == 1);
  owner.scope.spawn(simple(owner, steps, Counted{}));
  CHECK_MESSAGE(owner.wakes == 1, "one wake is enough until the owner has looked");
  owner.turn();
  CHECK(owner.scope.size() == 0);
}

TEST_CASE("retirements before the owner lies down count towards its waking") {
  Owner owner;
  int steps = 0;
  for (int i = 0; i < 3; ++i) owner.scope.spawn(simple(owner, steps, Counted{}));
  CHECK_FALSE(owner.inbox.prepare_to_sleep(3));
  CHECK(owner.inbox.prepare_to_sleep(4));
  owner.scope.spawn(simple(owner, steps, Counted{}));
  CHECK(owner.wakes == 1);
  owner.turn();
}
