// What a loader delivers, and what it refuses.
#include <doctest/doctest.h>

#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/loader_test.h"

using namespace ringfeed;
using namespace ringfeed::testing;

TEST_CASE("an epoch delivers every sample once, with its label") {
  for (auto reader : readers) {
    const auto delivered = whole_epoch(small_options(reader));
    CHECK(delivered.size() == 105);
    std::set<std::uint32_t> indices;
    for (const auto& [position, sample] : delivered) {
      indices.insert(std::get<0>(sample));
      CHECK(std::get<1>(sample) == std::get<0>(sample) / 21);
    }
    CHECK(indices.size() == 105);
  }
}

TEST_CASE("order and pixels depend on seed, epoch and position alone") {
  const auto reference = whole_epoch(small_options());
  for (auto reader : readers) {
    for (int workers : {1, 2, 5}) {
      for (bool in_order : {true, false}) {
        auto options = small_options(reader);
        options.num_workers = workers;
        options.in_order = in_order;
        options.batch_size = 4 + workers;
        options.depth = 3 * workers;
        CHECK(whole_epoch(options) == reference);
      }
    }
  }
  CHECK(whole_epoch(small_options(), 4) != reference);
  auto other = small_options();
  other.seed = 1;
  CHECK(whole_epoch(other) != reference);
}

TEST_CASE("the ranks' epochs together are the epoch of one process") {
  const auto reference = whole_epoch(small_options());
  for (auto uneven : {Uneven::pad, Uneven::keep}) {
    Delivered together;
    for (int rank = 0; rank < 4; ++rank) {
      auto options = small_options();
      options.rank = rank;
      options.world_size = 4;
      options.uneven = uneven;
      collect(Loader(open(folder().root()), small_plan(), options).epoch(3), together);
    }
    CHECK(together.size() == (uneven == Uneven::pad ? 108 : 105));
    together.erase(together.lower_bound(105), together.end());
    CHECK(together == reference);
  }
}

TEST_CASE("drop_last leaves the partial batch out, and batches_per_epoch says so") {
  for (bool drop_last : {false, true}) {
    auto options = small_options();
    options.drop_last = drop_last;
    Loader loader(open(folder().root()), small_plan(), options);
    std::size_t batches = 0, samples = 0;
    for (Batch& batch : loader.epoch(0)) {
      ++batches;
      samples += batch.size();
    }
    CHECK(batches == loader.batches_per_epoch());
    CHECK(samples == (drop_last ? 104 : 105));
  }
}

TEST_CASE("a list of no entries is an epoch of no batches, and no list is the whole dataset") {
  for (const Uneven uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
    auto options = small_options();
    options.uneven = uneven;
    options.rank = 1;
    options.world_size = 2;
    options.indices.emplace();
    Loader none(open(folder().root()), small_plan(), options);
    CHECK(none.samples_per_epoch() == 0);
    CHECK(none.batches_per_epoch() == 0);
    CHECK(none.draws(0).empty());
    CHECK_FALSE(none.epoch(0).try_next());
    options.indices.reset();
    Loader all(open(folder().root()), small_plan(), options);
    CHECK(all.samples_per_epoch() == (uneven == Uneven::pad ? 53 : 52));
  }
}

TEST_CASE("an epoch dropped half way leaves the next one whole") {
  for (auto reader : readers) {
    const auto reference = whole_epoch(small_options(reader), 9);
    Loader loader(open(folder().root()), small_plan(), small_options(reader));
    for (int i = 0; i < 10; ++i) {
      Epoch epoch = loader.epoch(static_cast<std::uint64_t>(i));
      for (int batch = 0; batch < i; ++batch) CHECK(epoch.next());
    }
    Delivered delivered;
    collect(loader.epoch(9), delivered);
    CHECK(delivered == reference);
  }
}

TEST_CASE("an epoch that another one has replaced says so instead of ending early") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  Epoch first = loader.epoch(0);
  CHECK(first.next());
  Epoch second = loader.epoch(1);
  CHECK_MESSAGE(first.next(), "the second has not begun");
  CHECK(second.next());
  CHECK_THROWS_AS(first.next(), std::logic_error);
  CHECK(second.next());
}

TEST_CASE("abandoned epochs' batches are freed before the next epoch's are allocated") {
  const auto allocator = std::make_shared<TestAllocator>();
  auto options = small_options();
  options.allocator = allocator;
  Loader loader(open(folder().root()), small_plan(), options);
  for (std::uint64_t i = 0; i < 30; ++i) CHECK(loader.epoch(i).next());
  CHECK(allocator->most == 2 + 1);  // prefetch_factor, and one is the caller's
}

TEST_CASE("batches the caller keeps stay as they were") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  std::vector<Batch> kept;
  std::vector<std::string> bytes;
  for (int pass = 0; pass < 3; ++pass) {
    for (Batch& batch : loader.epoch(static_cast<std::uint64_t>(pass))) {
      const auto pixels = batch.pixels();
      bytes.emplace_back(reinterpret_cast<const char*>(pixels.data()), pixels.size());
      kept.push_back(std::move(batch));
    }
  }
  loader.stop();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto pixels = kept[i].pixels();
    CHECK(bytes[i] == std::string(reinterpret_cast<const char*>(pixels.data()), pixels.size()));
  }
}

TEST_CASE("a memory limit too small states the least that works, and that works") {
  auto options = small_options();
  options.limits.max_decoder_bytes = 8 << 20;
  options.memory_limit = 1000;
  SUBCASE("read_ahead_bytes chosen") {}
  SUBCASE("read_ahead_bytes given") { options.read_ahead_bytes = 1 << 20; }
  std::string message;
  try {
    Loader loader(open(folder().root()), small_plan(), options);
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  const auto at = message.find("at least ");
  REQUIRE(at != std::string::npos);
  options.memory_limit = std::stoull(message.substr(at + 9));
  Loader loader(open(folder().root()), small_plan(), options);
  CHECK(loader.memory_bound() == options.memory_limit);
  Delivered delivered;
  collect(loader.epoch(0), delivered);
  CHECK(delivered.size() == 105);
}

TEST_CASE("options that make no sense are refused when the loader is made") {
  const auto dataset = open(folder().root());
  const auto refuses = [&](auto change, const char* message) {
    auto options = small_options();
    change(options);
    CHECK_THROWS_WITH_AS(Loader(dataset, small_plan(), options), message, OptionError);
  };
  refuses([](auto& o) { o.batch_size = 0; }, "batch_size must be in [1, 2147483647]");
  refuses([](auto& o) { o.num_workers = -1; },
          "num_workers must be in [0, 1024]; 0 takes the cores this process may use");
  refuses([](auto& o) { o.prefetch_factor = -1; },
          "prefetch_factor must be in [0, 1024]; 0 chooses");
  refuses([](auto& o) { o.world_size = 0; }, "world_size must be at least 1");
  refuses([](auto& o) { o.rank = 1; }, "rank must be in [0, world_size)");
  refuses([](auto& o) { o.depth = 16385; }, "depth must be in [0, 16384]; 0 chooses");
  refuses([](auto& o) { o.timeout = std::chrono::seconds(-1); },
          "timeout must not be negative; 0 waits for ever");
  refuses([](auto& o) { o.max_file_bytes = 0; }, "max_file_bytes must be in [1, 2147483648]");
  refuses([](auto& o) { o.limits.max_pixels = 0; },
          "limits.max_pixels must be in [1, 4611686018427387904]");
  refuses([](auto& o) { o.limits.max_scans = 0; }, "limits.max_scans must be in [1, 2147483647]");
  refuses([](auto& o) { o.limits.max_decoder_bytes = std::size_t{1} << 62; },
          "limits.max_decoder_bytes must be in [1, 1099511627776]");
  refuses([](auto& o) { o.read_ahead_bytes = 1; },
          "read_ahead_bytes must be in [262144, 1099511627776]; 0 chooses");
  refuses([](auto& o) { o.indices = std::vector<std::uint32_t>{105}; },
          "indices holds 105, but the dataset has 105 entries");
}

TEST_CASE("dropping a superseded epoch does not stop the clock of the next") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  auto first = std::make_unique<Epoch>(loader.epoch(0));
  REQUIRE(first->next());
  Epoch second = loader.epoch(1);
  REQUIRE(second.next());
  first.reset();
  const double before = loader.stats().wall_seconds;
  CHECK(loader.stats().wall_seconds > before);
}

TEST_CASE("statistics count every file, and name the reader") {
  for (auto reader : readers) {
    Loader loader(open(folder().root()), small_plan(), small_options(reader));
    for (Batch& batch : loader.epoch(0)) (void)batch;
    const Stats stats = loader.stats();
    CHECK(stats.read.count == 105);
    CHECK(stats.decode.count == 105);
    CHECK(stats.deliver.count == loader.batches_per_epoch());
    CHECK(stats.reader == (reader == ReaderKind::ring ? "ring" : "pool"));
    CHECK(stats.wall_seconds > 0);
  }
}
