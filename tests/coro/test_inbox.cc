#include <doctest/doctest.h>

#include <memory>
#include <thread>
#include <vector>

#include "coro/owner.h"

namespace ringfeed::coro {
namespace {

TEST_CASE("a post or a notification wakes at once, and is not lost before the owner sleeps") {
  Owner owner;
  int called = 0;
  CHECK(owner.inbox.prepare_to_sleep(100));
  owner.inbox.post([&] { ++called; });
  CHECK(owner.wakes == 1);
  owner.turn();
  CHECK(called == 1);
  owner.inbox.notify();
  CHECK(owner.wakes == 1);
  CHECK_FALSE(owner.inbox.prepare_to_sleep(100));
}

TEST_CASE("a closed inbox drops the calls nobody took, and those that come later") {
  Owner owner;
  for (int posted = 0; posted < 2; ++posted) {
    const auto held = std::make_shared<int>();
    owner.inbox.post([held] {});
    owner.inbox.close();
    CHECK(held.use_count() == 1);
  }
}

TEST_CASE("a closed inbox wakes nobody") {
  Owner owner;
  CHECK(owner.inbox.prepare_to_sleep(1));
  owner.inbox.close();
  owner.inbox.notify();
  CHECK(owner.wakes == 0);
}

Task comes_home(Owner& owner, std::coroutine_handle<>& away, std::vector<std::thread::id>& ran_on) {
  struct Leave {
    std::coroutine_handle<>& away;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) { away = handle; }
    void await_resume() {}
  };
  co_await Leave{away};
  ran_on.push_back(std::this_thread::get_id());
  co_await owner.inbox.resume_here();
  ran_on.push_back(std::this_thread::get_id());
}

TEST_CASE("a task that asks for it goes on with the owner, which is woken for it") {
  Owner owner;
  std::coroutine_handle<> away;
  std::vector<std::thread::id> ran_on;
  owner.scope.spawn(comes_home(owner, away, ran_on));
  CHECK(owner.inbox.prepare_to_sleep(100));
  std::thread([&] { away.resume(); }).join();
  CHECK(owner.wakes == 1);
  REQUIRE(ran_on.size() == 1);
  CHECK(ran_on[0] != std::this_thread::get_id());
  owner.turn();
  REQUIRE(ran_on.size() == 2);
  CHECK(ran_on[1] == std::this_thread::get_id());
  owner.turn();
  CHECK(owner.scope.size() == 0);
}

}  // namespace
}  // namespace ringfeed::coro
