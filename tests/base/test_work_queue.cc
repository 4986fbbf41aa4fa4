#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/work_queue.h"
#include "support/deny.h"
#include "support/in_child.h"

using ringfeed::WorkQueue;

TEST_CASE("the caller is asked while items are worked on") {
  WorkQueue<int> queue("test", {1});
  std::atomic<int> asked = 0;
  queue.run(
      2,
      [&](int item) {
        if (item == 1) queue.push(2);
        while (asked < 2) asked.wait(asked);  // an item that takes as long as that
      },
      [&] {
        ++asked;
        asked.notify_all();
      });
  CHECK(asked >= 2);
}

TEST_CASE("what the caller throws ends the run, once the items in work are done") {
  for (const int threads : {1, 4}) {
    WorkQueue<int> queue("test", {0, 1, 2});
    std::atomic<int> began = 0, finished = 0;
    const auto work = [&](int item) {
      ++began;
      queue.push(item);  // by itself it would never end
      ++finished;
    };
    const auto refuse = [] { throw std::runtime_error("enough"); };
    CHECK_THROWS_WITH_AS(queue.run(threads, work, refuse), "enough", std::runtime_error);
    CHECK(began > 0);
    CHECK(finished == began);
  }
}

TEST_CASE("what the caller throws does not wait for work that hangs, which owns what it touches") {
  struct Owned {
    std::promise<void> gone;
    ~Owned() { gone.set_value(); }
  };
  std::promise<void> answer;
  std::shared_future<void> answered = answer.get_future().share();
  std::future<void> gone;
  {
    auto owned = std::make_shared<Owned>();
    gone = owned->gone.get_future();
    WorkQueue<int> queue("test", {1, 2, 3});
    const auto hang = [owned, answered, queue](int) { answered.wait(); };
    owned.reset();
    const auto refuse = [] { throw std::runtime_error("enough"); };
    CHECK_THROWS_WITH_AS(queue.run(2, hang, refuse), "enough", std::runtime_error);
  }
  CHECK(gone.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  answer.set_value();
  CHECK(gone.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
}

TEST_CASE("work that hangs keeps its own thread alone when the caller throws") {
  const auto threads = [] {
    std::size_t count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::string name;
      std::getline(std::ifstream(task.path() / "comm"), name);
      count += name == "idle-test" ? 1 : 0;
    }
    return count;
  };
  std::promise<void> answer;
  std::shared_future<void> answered = answer.get_future().share();
  WorkQueue<int> queue("idle-test", {1});
  const auto refuse = [] { throw std::runtime_error("enough"); };
  CHECK_THROWS_AS(queue.run(4, [answered](int) { answered.wait(); }, refuse), std::runtime_error);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (threads() > 1 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  CHECK(threads() == 1);
  answer.set_value();
  while (threads() > 0 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  CHECK(threads() == 0);
}

TEST_CASE("where no thread can be started the caller does the work, and is asked on the way") {
  const std::string said = ringfeed::testing::in_child([]() -> std::string {
    ringfeed::testing::deny_threads();
    WorkQueue<int> queue("test", {1, 2});
    std::string done;
    queue.run(
        2,
        [&](int item) {
          done += std::to_string(item);
          if (item == 1) queue.push(3);
        },
        [&] { done += "?"; });
    return done;
  });
  CHECK(said == "1?2?3?");
}
