#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "batch/channel.h"
#include "coro/scope.h"

using namespace ringfeed;
using batch::Cell;
using batch::Channel;

namespace {

constexpr std::chrono::steady_clock::time_point at_once{};

struct Fixture {
  /// Batches of `sizes`, one after the other.
  Fixture(std::vector<std::size_t> sizes_, std::size_t capacity, bool in_order = true)
      : sizes(std::move(sizes_)), channel(capacity, in_order) {}
  ~Fixture() {
    channel.cancel();
    channel.resume_cells();
    std::vector<std::coroutine_handle<>> finished;
    std::vector<std::function<void()>> calls;
    inbox.take(finished, calls);
    for (auto handle : finished) scope.collect(handle);
    CHECK(scope.size() == 0);
  }
  coro::FramePool& frames() { return pool; }
  std::size_t open_all() {
    const std::size_t before = opened;
    for (; opened < sizes.size() && channel.has_room(); ++opened) {
      Batch batch;
      batch.number = static_cast<std::int64_t>(opened);
      batch.views = {{.height = 1, .width = 1, .dtype = DType::uint8}};
      batch.labels.resize(sizes[opened]);
      batch.memory.data = memory_of(opened);
      batch.memory.owner = owner;
      channel.open(std::move(batch));
    }
    return opened - before;
  }
  std::byte* memory_of(std::size_t number) { return pixels.data() + number % 16 * 64; }
  void spawn(Cell cell);

  std::vector<std::size_t> sizes;
  std::size_t opened = 0;
  std::shared_ptr<void> owner;
  Channel channel;
  std::vector<std::byte> pixels = std::vector<std::byte>(1024);
  std::vector<std::pair<Cell, Channel::OpenCell>> cells;
  coro::FramePool pool;
  coro::Inbox inbox{[] {}};
  coro::Scope scope{inbox};
};

coro::Task get_cell(Fixture& f, Cell cell) {
  Channel::OpenCell open = co_await f.channel.await_cell(cell);
  f.cells.emplace_back(cell, std::move(open));
}

void Fixture::spawn(Cell cell) { scope.spawn(get_cell(*this, cell)); }

}  // namespace

TEST_CASE("the window opens no more batches than its capacity past the oldest undelivered") {
  for (bool in_order : {true, false}) {
    Fixture f(std::vector<std::size_t>(10, 4), 3, in_order);
    CHECK(f.open_all() == 3);
    for (std::size_t i = 0; i < 4; ++i) f.spawn({1, i});
    for (auto& [cell, open] : f.cells) open.finish();
    auto delivery = f.channel.take(at_once);
    CHECK(delivery.has_value() == !in_order);
    CHECK_MESSAGE(f.open_all() == 0, "batch 0 is undelivered");
    f.cells.clear();
    for (std::size_t i = 0; i < 4; ++i) f.spawn({0, i});
    for (auto& [cell, open] : f.cells) open.finish();
    delivery = f.channel.take(at_once);
    REQUIRE(delivery);
    CHECK(delivery->batch.number == 0);
    CHECK(f.open_all() == (in_order ? 1 : 2));
  }
}

TEST_CASE("a sample waits for its batch to open, and the lowest cell is had first") {
  Fixture f({2, 2}, 1);
  for (const Cell cell : {Cell{1, 1}, Cell{0, 1}, Cell{1, 0}, Cell{0, 0}}) {
    f.spawn(cell);
  }
  CHECK(f.cells.empty());
  f.open_all();
  f.channel.resume_cells();
  REQUIRE(f.cells.size() == 2);
  CHECK(f.cells[0].first == Cell{0, 0});
  CHECK(f.cells[1].first == Cell{0, 1});
  CHECK(f.channel.waiting() == 2);
}

TEST_CASE("batches may differ in size: each is delivered when its own samples are in") {
  Fixture f({3, 1, 5}, 3);
  f.open_all();
  for (std::size_t number = 0; number < 3; ++number) {
    for (std::size_t i = 0; i < f.sizes[number]; ++i) {
      CHECK_FALSE(f.channel.take(at_once));
      f.spawn({number, i});
      CHECK(f.cells.back().second.batch().memory.data == f.memory_of(number));
      CHECK(f.cells.back().second.row() == i);
      f.cells.back().second.finish();
    }
    const auto delivery = f.channel.take(at_once);
    REQUIRE(delivery);
    CHECK(delivery->batch.number == static_cast<std::int64_t>(number));
    CHECK(delivery->batch.size() == f.sizes[number]);
  }
}

TEST_CASE("the end may be told late, before or after the last batch is delivered") {
  for (bool before : {true, false}) {
    Fixture f({1}, 2);
    f.open_all();
    f.spawn({0, 0});
    f.cells[0].second.finish();
    CHECK_FALSE(f.channel.exhausted());
    if (before) f.channel.close(1);
    CHECK(f.channel.take(std::nullopt));
    CHECK(f.channel.exhausted() == before);
    if (!before) f.channel.close(1);
    CHECK(f.channel.exhausted());
    CHECK_FALSE(f.channel.take(std::nullopt));
  }
}

std::vector<Failure> failure(const std::string& path) {
  return {{0, 0, {Stage::decode, 0, path, ""}, std::nullopt}};
}

TEST_CASE("a failed batch is delivered in its turn with its failures by row") {
  Fixture f({2}, 1);
  f.open_all();
  f.spawn({0, 0});
  f.spawn({0, 1});
  f.cells[1].second.finish(failure("second"));
  f.cells[0].second.finish(failure("first"));
  const auto delivery = f.channel.take(at_once);
  REQUIRE(delivery);
  REQUIRE(delivery->failed.size() == 2);
  CHECK(delivery->failed[0].row == 0);
  CHECK(delivery->failed[0].failures[0].error.path == "first");
  CHECK(delivery->failed[1].failures[0].error.path == "second");
}

TEST_CASE("cancelling wakes a waiting consumer and gives waiting samples no cell") {
  Fixture f({2, 2, 2}, 1);
  f.spawn({2, 1});
  std::thread consumer([&] { CHECK_FALSE(f.channel.take(std::nullopt)); });
  f.channel.cancel();
  consumer.join();
  f.channel.resume_cells();
  REQUIRE(f.cells.size() == 1);
  CHECK_FALSE(f.cells[0].second);
}

TEST_CASE("why a channel was cancelled is thrown to whoever asks, and nothing after a mere stop") {
  Channel stopped(1, true);
  stopped.cancel();
  stopped.rethrow_failure();
  Channel failed(1, true);
  failed.cancel(std::make_exception_ptr(std::runtime_error("out of memory")));
  failed.cancel();  // a stop later on changes nothing
  CHECK_FALSE(failed.take({}));
  CHECK_THROWS_WITH_AS(failed.rethrow_failure(), "out of memory", std::runtime_error);
}

TEST_CASE("a cancelled channel's memory is freed when the last cell is given back") {
  Fixture f({2, 2}, 2);
  const auto memory = std::make_shared<int>();
  f.owner = memory;
  f.open_all();
  f.owner.reset();
  for (const Cell cell : {Cell{0, 0}, Cell{0, 1}, Cell{1, 0}}) {
    f.spawn(cell);
  }
  f.channel.cancel();
  std::atomic<bool> freed{false};
  std::thread consumer([&] {
    f.channel.free_batches();
    freed = true;
  });
  f.cells[1].second.finish();
  f.cells[0].second.finish(failure(""));
  CHECK_FALSE(freed);
  CHECK(memory.use_count() == 3);
  f.cells.clear();
  consumer.join();
  CHECK(memory.use_count() == 1);
  f.spawn({1, 1});
  CHECK_FALSE(f.cells[0].second);
}

TEST_CASE("batches finished by several threads arrive whole and in order") {
  std::vector<std::size_t> sizes(50);
  for (std::size_t number = 0; number < sizes.size(); ++number) sizes[number] = 2 + number % 9;
  Fixture f(sizes, 2);
  Cell next;
  for (std::size_t number = 0; number < sizes.size(); ++number) {
    f.open_all();
    f.cells.clear();
    while (next.batch < sizes.size()) {
      const std::size_t before = f.cells.size();
      f.spawn(next);
      if (++next.row == sizes[next.batch]) next = {next.batch + 1, 0};
      if (f.cells.size() == before) break;  // its batch is not open yet
    }
    f.channel.resume_cells();
    std::vector<std::thread> decoders;
    for (std::size_t t = 0; t < 4; ++t) {
      decoders.emplace_back([&, t] {
        for (std::size_t i = t; i < f.cells.size(); i += 4) {
          auto& [cell, open] = f.cells[i];
          if (cell.row % 2 == 0) {
            open.batch().memory.data[3 * open.row()] = std::byte{1};
            open.finish();
          } else {
            open.finish(failure(std::to_string(cell.batch)));
          }
        }
      });
    }
    const auto delivery = f.channel.take(std::nullopt);
    for (auto& decoder : decoders) decoder.join();
    REQUIRE(delivery);
    CHECK(delivery->batch.number == static_cast<std::int64_t>(number));
    CHECK(delivery->batch.size() == sizes[number]);
    REQUIRE(delivery->failed.size() == sizes[number] / 2);
    CHECK(delivery->failed[0].failures[0].error.path == std::to_string(number));
  }
}
