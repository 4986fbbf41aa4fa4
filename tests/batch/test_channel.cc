#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "batch/channel.h"
#include "coro/scope.h"

using namespace ringfeed;
using batch::Channel;

namespace {

constexpr std::chrono::steady_clock::time_point at_once{};

Batch make_batch(const Channel& channel, std::size_t number, std::vector<std::byte>& pixels) {
  Batch batch;
  batch.index = static_cast<std::int64_t>(number);
  batch.height = batch.width = 1;
  batch.dtype = DType::uint8;
  batch.labels.resize(channel.batch_samples(number));
  batch.memory.data = pixels.data();
  return batch;
}

struct Fixture {
  explicit Fixture(batch::ChannelOptions options) : channel(options) {}
  ~Fixture() {
    channel.cancel();
    channel.resume_placed();
    std::vector<std::coroutine_handle<>> finished;
    std::vector<std::function<void()>> calls;
    inbox.take(finished, calls);
    for (auto handle : finished) scope.collect(handle);
    CHECK(scope.size() == 0);
  }
  coro::FramePool& frames() { return pool; }
  std::size_t open_all() {
    std::size_t opened = 0;
    while (const auto number = channel.next_to_open()) {
      channel.open(make_batch(channel, *number, pixels));
      ++opened;
    }
    return opened;
  }
  void spawn(std::size_t sample);

  Channel channel;
  std::vector<std::byte> pixels = std::vector<std::byte>(1024);
  std::vector<std::pair<std::size_t, Channel::Slot>> placed;
  coro::FramePool pool;
  coro::Inbox inbox{[] {}};
  coro::Scope scope{inbox};
};

coro::Task place(Fixture& f, std::size_t sample) {
  Channel::Slot slot = co_await f.channel.place(sample);
  f.placed.emplace_back(sample, std::move(slot));
}

void Fixture::spawn(std::size_t sample) { scope.spawn(place(*this, sample)); }

}  // namespace

TEST_CASE("the window opens no more batches than its capacity past the oldest undelivered") {
  for (bool in_order : {true, false}) {
    Fixture f({40, 4, 0, 10, 3, in_order});
    CHECK(f.open_all() == 3);
    for (std::size_t k = 4; k < 8; ++k) f.spawn(k);  // all of batch 1
    for (auto& [k, slot] : f.placed) slot.finish();
    auto delivery = f.channel.take(at_once);
    CHECK(delivery.has_value() == !in_order);
    CHECK_MESSAGE(f.open_all() == 0, "batch 0 is undelivered");
    f.placed.clear();
    for (std::size_t k = 0; k < 4; ++k) f.spawn(k);
    for (auto& [k, slot] : f.placed) slot.finish();
    delivery = f.channel.take(at_once);
    REQUIRE(delivery);
    CHECK(delivery->batch.index == 0);
    CHECK(f.open_all() == (in_order ? 1 : 2));
  }
}

TEST_CASE("a window wider than the epoch opens the epoch's batches and costs no more") {
  Fixture f({5, 2, 1, 3, SIZE_MAX / 1024, true});
  CHECK(f.open_all() == 2);
  Fixture none({4, 2, 2, 2, SIZE_MAX / 1024, true});
  CHECK(none.open_all() == 0);
  CHECK(none.channel.exhausted());
}

TEST_CASE("a sample waits for its batch to open, and the lowest is placed first") {
  Fixture f({8, 2, 0, 4, 1, true});
  for (std::size_t k : {3u, 1u, 2u, 0u}) f.spawn(k);
  CHECK(f.placed.empty());
  f.open_all();
  f.channel.resume_placed();
  REQUIRE(f.placed.size() == 2);
  CHECK(f.placed[0].first == 0);
  CHECK(f.placed[1].first == 1);
  CHECK(f.channel.waiting() == 2);
}

TEST_CASE("the last batch holds what is left and the channel is then exhausted") {
  Fixture f({5, 4, 1, 2, 2, true});
  CHECK(f.open_all() == 1);
  f.spawn(4);
  f.placed[0].second.finish();
  const auto delivery = f.channel.take(at_once);
  REQUIRE(delivery);
  CHECK(delivery->batch.size() == 1);
  CHECK(f.channel.exhausted());
  CHECK_FALSE(f.channel.take(std::nullopt));
}

TEST_CASE("a failed batch is delivered in its turn with its first failure by position") {
  Fixture f({2, 2, 0, 1, 1, true});
  f.open_all();
  f.spawn(0);
  f.spawn(1);
  f.placed[1].second.fail({Stage::decode, 0, "second", ""});
  f.placed[0].second.fail({Stage::read, 5, "first", ""});
  const auto delivery = f.channel.take(at_once);
  REQUIRE(delivery);
  REQUIRE(delivery->error);
  CHECK(delivery->error->path == "first");
}

TEST_CASE("cancelling wakes a waiting consumer and gives waiting samples no place") {
  Fixture f({8, 2, 0, 4, 1, true});
  f.spawn(5);
  std::thread consumer([&] { CHECK_FALSE(f.channel.take(std::nullopt)); });
  f.channel.cancel();
  consumer.join();
  f.channel.resume_placed();
  REQUIRE(f.placed.size() == 1);
  CHECK_FALSE(f.placed[0].second);
}

TEST_CASE("a cancelled channel's memory is freed when the last place is given back") {
  Fixture f({4, 2, 0, 2, 2, true});
  const auto memory = std::make_shared<int>();
  while (const auto number = f.channel.next_to_open()) {
    Batch batch = make_batch(f.channel, *number, f.pixels);
    batch.memory.owner = memory;
    f.channel.open(std::move(batch));
  }
  for (std::size_t k = 0; k < 3; ++k) f.spawn(k);
  f.channel.cancel();
  std::atomic<bool> freed{false};
  std::thread consumer([&] {
    f.channel.free_batches();
    freed = true;
  });
  f.placed[1].second.finish();
  f.placed[0].second.fail({Stage::decode, 0, "", ""});
  CHECK_FALSE(freed);
  CHECK(memory.use_count() == 3);
  f.placed.clear();
  consumer.join();
  CHECK(memory.use_count() == 1);
  f.spawn(3);
  CHECK_FALSE(f.placed[0].second);
}

TEST_CASE("batches finished by several threads arrive whole and in order") {
  constexpr std::size_t batches = 50, size = 8;
  Fixture f({batches * size, size, 0, batches, 2, true});
  std::size_t next = 0;
  for (std::size_t number = 0; number < batches; ++number) {
    f.open_all();
    f.placed.clear();
    while (next < batches * size) {
      const std::size_t before = f.placed.size();
      f.spawn(next++);
      if (f.placed.size() == before) break;  // its batch is not open yet
    }
    f.channel.resume_placed();
    std::vector<std::thread> decoders;
    for (std::size_t t = 0; t < 4; ++t) {
      decoders.emplace_back([&, t] {
        for (std::size_t i = t; i < f.placed.size(); i += 4) {
          auto& [k, slot] = f.placed[i];
          if (k % 2 == 0) {
            *slot.pixels() = std::byte{1};
            slot.finish();
          } else {
            slot.fail({Stage::decode, 0, std::to_string(k), ""});
          }
        }
      });
    }
    const auto delivery = f.channel.take(std::nullopt);
    for (auto& decoder : decoders) decoder.join();
    REQUIRE(delivery);
    CHECK(delivery->batch.index == static_cast<std::int64_t>(number));
    REQUIRE(delivery->error);
    CHECK(delivery->error->path == std::to_string(number * size + 1));
  }
}
