// Orders made elsewhere, and what next() does while it waits.

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/loader_test.h"
#include "support/held_opens.h"

using namespace ringfeed;
using namespace ringfeed::testing;

namespace {

using Indices = std::vector<std::uint32_t>;

/// The entries in the order of `delivered`.
Indices indices_of(const Delivered& delivered) {
  Indices indices;
  for (const auto& [position, sample] : delivered) indices.push_back(std::get<0>(sample));
  return indices;
}

/// Gives `order` in batches of `sizes`, repeated.
BatchSource in_sizes(Indices order, std::vector<std::size_t> sizes) {
  return [order = std::move(order), sizes = std::move(sizes), at = std::size_t{0},
          number = std::size_t{0}]() mutable -> std::optional<Indices> {
    if (at == order.size()) return std::nullopt;
    const auto first = order.begin() + static_cast<std::ptrdiff_t>(at);
    at = std::min(order.size(), at + sizes[number++ % sizes.size()]);
    return Indices(first, order.begin() + static_cast<std::ptrdiff_t>(at));
  };
}

Loader small_loader(const LoaderOptions& options = small_options()) {
  return Loader(open(folder().root()), small_plan(), options);
}

}  // namespace

TEST_CASE("a source's batches come whole, of any size, with the pixels of their positions") {
  const auto reference = whole_epoch(small_options());
  const std::vector<std::size_t> sizes{5, 1, 8, 30, 2};
  for (auto reader : readers) {
    for (const bool in_order : {true, false}) {
      auto options = small_options(reader);
      options.in_order = in_order;
      options.prefetch_factor = 3;
      Loader loader = small_loader(options);
      Epoch epoch = loader.epoch(3, in_sizes(indices_of(reference), sizes));
      CHECK_FALSE(epoch.size().has_value());
      Delivered delivered;
      std::size_t batches = 0;
      while (const auto batch = epoch.next()) {
        const auto index = static_cast<std::size_t>(batch->number);
        if (in_order) CHECK(index == batches);
        if (index < 12) CHECK(batch->size() == sizes[index % 5]);
        CHECK(batch->memory.bytes >= batch->pixels().size());
        collect(*batch, delivered);
        ++batches;
      }
      CHECK(batches == 13);
      CHECK(delivered == reference);
      CHECK(epoch.progress() == Progress{105, {}});
      CHECK_FALSE(epoch.next());
    }
  }
}

TEST_CASE("a source's samples stand at its rank's positions, from the start on") {
  auto options = small_options();
  options.rank = 1;
  options.world_size = 3;
  Loader loader = small_loader(options);
  Epoch epoch = loader.epoch(3, in_sizes({7, 7, 104, 0, 9}, {2, 3}), {.positions = 60});
  const auto first = epoch.next();
  CHECK(first->positions == std::vector<std::uint64_t>{61, 64});
  CHECK(first->indices == Indices{7, 7});
  CHECK(first->labels == std::vector<std::int64_t>{0, 0});
  CHECK(epoch.progress() == Progress{66, {}});
  CHECK(epoch.next()->positions == std::vector<std::uint64_t>{67, 70, 73});
  CHECK(epoch.progress() == Progress{75, {}});
  CHECK_FALSE(epoch.next());
}

TEST_CASE("a source gives again what was taken beyond the front, and it is not loaded") {
  const auto reference = whole_epoch(small_options());
  Indices order = indices_of(reference);
  order.erase(order.begin(), order.begin() + 10);
  for (auto reader : readers) {
    Loader loader = small_loader(small_options(reader));
    // 95 left: 7 + 3, nine times, and 5.
    Epoch epoch = loader.epoch(3, in_sizes(order, {7, 3}), {10, {1, 2, 18}});
    Delivered delivered;
    std::vector<std::int64_t> numbers;
    while (const auto batch = epoch.next()) {
      numbers.push_back(batch->number);
      collect(*batch, delivered);
    }
    CHECK(numbers.size() == 16);
    CHECK(numbers[1] == 3);
    CHECK(numbers.back() == 17);
    CHECK(delivered.size() == 95 - 3 - 7 - 5);
    CHECK(loader.stats().read.count == delivered.size());
    for (const auto& [position, sample] : delivered) CHECK(sample == reference.at(position));
    CHECK(epoch.progress() == Progress{105, {}});
  }
}

TEST_CASE("a source is pulled no further ahead than what may be under way") {
  for (auto reader : readers) {
    for (const bool in_order : {true, false}) {
      for (const std::size_t size : {1, 3, 8, 50}) {
        auto options = small_options(reader);
        options.in_order = in_order;
        options.depth = 2;  // 16 samples under way
        Loader loader = small_loader(options);
        std::size_t pulled = 0, returned = 0;
        // Two batches by prefetch_factor, and what makes 16 samples or passes that.
        const std::size_t most = 2 + (16 + size - 1) / size;
        Epoch epoch = loader.epoch(0, [&]() -> std::optional<Indices> {
          CHECK(pulled <= returned + most);  // next() pulls before it returns
          ++pulled;
          return Indices(size, static_cast<std::uint32_t>(pulled % 105));
        });
        CHECK(pulled == 0);
        while (returned < 20) {
          CHECK(epoch.next());
          ++returned;
          CHECK(pulled <= returned + most);
          // It has grown to that by then.
          CHECK_MESSAGE((pulled == returned + most || returned < 5 || !in_order),
                        "the window is used");
        }
      }
    }
  }
}

TEST_CASE("twice as many batches are read ahead with each that is taken") {
  for (auto reader : readers) {
    for (const bool in_order : {true, false}) {
      auto options = small_options(reader);
      options.in_order = in_order;
      options.prefetch_factor = 3;
      Loader loader = small_loader(options);
      std::size_t pulled = 0;
      Epoch epoch = loader.epoch(0, [&]() -> std::optional<Indices> {
        ++pulled;
        return Indices(2, 5);
      });
      for (const std::size_t ahead : {6, 12, 24, 48}) {
        const std::size_t before = pulled;
        REQUIRE(epoch.next());  // pulls before it returns
        CHECK(pulled == (before == 0 ? 3 : before) + 1 + ahead / 2);
      }
    }
  }
}

TEST_CASE("an endless source is let go when its epoch is dropped, on that thread") {
  for (auto reader : readers) {
    Loader loader = small_loader(small_options(reader));
    for (int batches = 0; batches < 5; ++batches) {
      const auto token = std::make_shared<int>();
      {
        Epoch epoch =
            loader.epoch(0, [token]() -> std::optional<Indices> { return Indices(3, 4); });
        for (int i = 0; i < batches; ++i) CHECK(epoch.next());
        CHECK(token.use_count() == 2);
      }
      CHECK(token.use_count() == 1);
    }
    Delivered delivered;
    collect(loader.epoch(3), delivered);
    CHECK(delivered.size() == 105);
  }
}

TEST_CASE("what a source throws comes once, after the batches before it, and ends the epoch") {
  for (auto reader : readers) {
    for (const int good : {0, 1, 2, 7}) {
      Loader loader = small_loader(small_options(reader));
      int calls = 0;
      const auto token = std::make_shared<int>();
      Epoch epoch = loader.epoch(0, [&calls, token, good]() -> std::optional<Indices> {
        if (calls++ == good) throw std::runtime_error("no more luck");
        return Indices(5, 1);
      });
      for (int i = 0; i < good; ++i) CHECK(epoch.next());
      CHECK(epoch.progress().positions == static_cast<std::uint64_t>(5 * good));
      CHECK_THROWS_WITH_AS((void)epoch.next(), "no more luck", std::runtime_error);
      CHECK_FALSE(epoch.next());
      CHECK(calls == good + 1);
      CHECK(token.use_count() == 1);
      Delivered delivered;
      collect(loader.epoch(3), delivered);
      CHECK(delivered.size() == 105);
    }
  }
}

TEST_CASE("a source's batch that is empty or leaves the dataset is named") {
  const auto message = [](const Indices& bad) {
    Loader loader = small_loader();
    int calls = 0;
    Epoch epoch = loader.epoch(
        0, [&]() -> std::optional<Indices> { return calls++ == 2 ? bad : Indices(5, 1); });
    CHECK(epoch.next());
    CHECK(epoch.next());
    try {
      (void)epoch.next();
    } catch (const std::invalid_argument& error) {
      CHECK_FALSE(epoch.next());
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(message({}) == "the BatchSource's batch 2 is empty");
  CHECK(message({3, 105}) ==
        "the BatchSource's batch 2 holds 105, but the dataset has 105 entries");
  Loader loader = small_loader();
  CHECK_THROWS_AS((void)loader.epoch(0, BatchSource{}), std::invalid_argument);
}

TEST_CASE("a source that gives nothing is an empty epoch") {
  Loader loader = small_loader();
  Epoch epoch = loader.epoch(0, []() -> std::optional<Indices> { return std::nullopt; });
  CHECK_FALSE(epoch.next());
  CHECK_FALSE(epoch.next());
  CHECK(epoch.progress() == Progress{});
}

TEST_CASE("a source slower than decoding loses nothing") {
  const auto reference = whole_epoch(small_options());
  for (auto reader : readers) {
    Loader loader = small_loader(small_options(reader));
    BatchSource source = in_sizes(indices_of(reference), {4, 9});
    bool first = true;
    Epoch epoch = loader.epoch(3, [&] {
      // Until what it gave before has been decoded.
      while (!first && loader.stats().batches_ready == 0) std::this_thread::yield();
      first = false;
      return source();
    });
    Delivered delivered;
    collect(std::move(epoch), delivered);
    CHECK(delivered == reference);
  }
}

TEST_CASE("a source's batches of half the full size and more take it, to be used again") {
  auto options = small_options();
  const auto allocator = std::make_shared<TestAllocator>();
  options.allocator = allocator;
  Loader loader = small_loader(options);
  Epoch epoch = loader.epoch(0, in_sizes(Indices(25, 3), {5, 8, 10, 2}));
  const std::size_t sample = small_plan().sample_bytes();
  CHECK(epoch.next()->memory.bytes == 8 * sample);
  CHECK(epoch.next()->memory.bytes == 8 * sample);
  CHECK(epoch.next()->memory.bytes == 10 * sample);
  CHECK(epoch.next()->memory.bytes == 2 * sample);
}

TEST_CASE("next() goes on after the allocator has thrown, and no batch of a source is lost") {
  const auto reference = whole_epoch(small_options());
  for (int refused = 0; refused < 12; ++refused) {
    auto options = small_options();
    options.timeout = std::chrono::seconds(20);
    const auto allocator = std::make_shared<TestAllocator>();
    allocator->refused = refused;
    options.allocator = allocator;
    Loader loader = small_loader(options);
    Epoch epoch = loader.epoch(3, in_sizes(indices_of(reference), {3, 11}));
    Delivered delivered;
    for (;;) {
      try {
        const auto batch = epoch.next();
        if (!batch) break;
        collect(*batch, delivered);
      } catch (const std::bad_alloc&) {
      }
    }
    CHECK(delivered == reference);
  }
}

TEST_CASE("stopping from another thread ends an endless source's epoch") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20; ++round) {
    Loader loader = small_loader(small_options(readers[round % 2]));
    const auto stop_at = random() % 300;
    std::atomic<std::size_t> pulled{0};
    std::thread stopper([&] {
      while (pulled < stop_at) std::this_thread::yield();
      loader.stop();
    });
    Epoch epoch = loader.epoch(0, [&]() -> std::optional<Indices> {
      ++pulled;
      return Indices(2, 5);
    });
    while (epoch.next()) {
    }
    stopper.join();
    CHECK_FALSE(epoch.next());
  }
}

TEST_CASE("while next() waits it calls while_waiting, whose exception loses no batch") {
  SampleFolder files(1, 3);
  const HeldOpens opens(files.root() / "c00");
  if (!opens.works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  for (const auto timeout : {std::chrono::seconds(0), std::chrono::seconds(20)}) {
    int calls = 0;
    const auto consumer = std::this_thread::get_id();
    auto options = small_options(ReaderKind::pool);
    options.timeout = timeout;
    options.while_waiting = [&] {
      CHECK(std::this_thread::get_id() == consumer);
      if (++calls % 2 == 0) throw std::runtime_error("interrupted");
    };
    Loader loader(open(files.root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    CHECK_THROWS_WITH_AS((void)epoch.next(), "interrupted", std::runtime_error);
    CHECK(calls == 2);
    CHECK_THROWS_AS((void)epoch.next(), std::runtime_error);
    CHECK(calls == 4);
    CHECK(epoch.progress() == Progress{});
    for (int i = 0; i < 3; ++i) opens.allow(opens.next());
    std::optional<Batch> batch;
    while (!batch) {
      try {
        batch = epoch.next();
      } catch (const std::runtime_error&) {
      }
    }
    CHECK(batch->size() == 3);
  }
}

TEST_CASE("the timeout counts the whole call, however often while_waiting is called") {
  SampleFolder files(1, 3);
  const HeldOpens opens(files.root() / "c00");
  if (!opens.works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  int calls = 0;
  auto options = small_options(ReaderKind::pool);
  options.timeout = std::chrono::milliseconds(250);
  options.while_waiting = [&] { ++calls; };
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  CHECK_THROWS_AS((void)epoch.next(), TimeoutError);
  CHECK(calls >= 1);
  CHECK(calls <= 2);
  for (int i = 0; i < 3; ++i) opens.allow(opens.next());
  std::optional<Batch> batch;
  while (!batch) {
    try {
      batch = epoch.next();
    } catch (const TimeoutError&) {
    }
  }
  CHECK(batch->size() == 3);
}

TEST_CASE("the bound counts what the allocator really takes for a batch") {
  auto options = small_options();
  const auto allocator = std::make_shared<TestAllocator>();
  options.allocator = allocator;
  const std::size_t bound = small_loader(options).memory_bound();
  allocator->extra = 1000;
  CHECK(small_loader(options).memory_bound() == bound + 1000 * (2 + 2));
  // The default: what 8 small images take, and a little of malloc's.
  allocator->extra = make_huge_page_allocator(1)->footprint(8 * small_plan().sample_bytes()) -
                     8 * small_plan().sample_bytes();
  CHECK(allocator->extra < 200);
  CHECK(small_loader(options).memory_bound() == small_loader().memory_bound());
}

TEST_CASE("a batch size beyond the dataset takes memory for what there is") {
  const std::size_t images = open(folder().root()).size();
  for (const int ranks : {1, 3}) {
    auto options = small_options();
    options.world_size = ranks;
    options.batch_size = static_cast<int>((images + ranks - 1) / ranks);
    const std::size_t bound = small_loader(options).memory_bound();
    options.batch_size = largest::batch_size;
    auto loader = small_loader(options);
    CHECK(loader.memory_bound() == bound);
    CHECK(loader.batches_per_epoch() == 1);
    Epoch epoch = loader.epoch(0);
    const auto batch = epoch.next();
    REQUIRE(batch);
    CHECK(batch->size() == loader.samples_per_epoch());
    CHECK_FALSE(epoch.next());
    options.drop_last = true;
    CHECK(small_loader(options).batches_per_epoch() == 0);
  }
}

TEST_CASE("a batch keeps memory for what it holds, in whatever sizes batches come") {
  auto options = small_options();
  options.batch_size = 64;
  auto loader = small_loader(options);
  Epoch epoch = loader.epoch(0, in_sizes(Indices(67, 3), {64, 1, 1, 1}));
  while (const auto batch = epoch.next()) {
    const std::size_t held = batch->size() * small_plan().sample_bytes();
    CHECK(batch->memory.bytes >= held);
    CHECK(batch->memory.bytes < 2 * held + 64);
  }
}

TEST_CASE("the usable cores are divided among the processes of a launcher") {
  ::unsetenv("LOCAL_WORLD_SIZE");
  const int cores = usable_cores();
  CHECK(cores >= 1);
  ::setenv("LOCAL_WORLD_SIZE", "2", 1);
  CHECK(usable_cores() <= cores);
  ::setenv("LOCAL_WORLD_SIZE", "4000000000", 1);
  CHECK(usable_cores() == 1);
  auto options = small_options();
  options.num_workers = 0;
  CHECK(small_loader(options).stats().workers == 1);
  ::unsetenv("LOCAL_WORLD_SIZE");
}
