#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "pipeline/loader_test.h"
#include "pipeline/progress_tracker.h"
#include "support/held_opens.h"

using namespace ringfeed;
using namespace ringfeed::testing;
using ringfeed::pipeline::ProgressTracker;

namespace {

LoaderOptions of_rank(int rank, int world_size, LoaderOptions options = small_options()) {
  options.rank = rank;
  options.world_size = world_size;
  return options;
}

/// The positions of `delivered` from `first` on.
Delivered tail(const Delivered& delivered, std::uint64_t first) {
  return {delivered.lower_bound(first), delivered.end()};
}

}  // namespace

TEST_CASE("an epoch goes on from every batch as it would have gone on") {
  for (auto reader : readers) {
    for (const bool drop_last : {false, true}) {
      for (const auto uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
        auto options = of_rank(1, 2, small_options(reader));
        options.drop_last = drop_last;
        options.uneven = uneven;
        Loader loader(open(folder().root()), small_plan(), options);
        std::vector<Progress> points;
        std::vector<std::vector<std::uint64_t>> whole;
        Delivered pixels;
        {
          Epoch epoch = loader.epoch(1);
          points.push_back(epoch.progress());
          while (const auto batch = epoch.next()) {
            whole.push_back(batch->positions);
            collect(*batch, pixels);
            points.push_back(epoch.progress());
          }
          CHECK(epoch.size() == whole.size());
        }
        CHECK(points.front() == Progress{});
        for (std::size_t from = 0; from < points.size(); ++from) {
          CAPTURE(from);
          CHECK(points[from].beyond.empty());
          Epoch epoch = loader.epoch(1, points[from]);
          CHECK(epoch.size() == whole.size() - from);
          CHECK(epoch.progress() == points[from]);
          Delivered rest;
          std::size_t number = 0;
          while (const auto batch = epoch.next()) {
            CHECK(batch->number == static_cast<std::int64_t>(number));
            REQUIRE(from + number < whole.size());
            CHECK(batch->positions == whole[from + number]);
            ++number;
            CHECK(epoch.progress() == points[from + number]);
            collect(*batch, rest);
          }
          CHECK(number == whole.size() - from);
          // At the end the padding, which lies beyond it, has been delivered too.
          const bool over = from == whole.size();
          CHECK(rest == (over ? Delivered{} : tail(pixels, points[from].positions)));
        }
      }
    }
  }
}

TEST_CASE("what two ranks have left, any number of ranks finishes, every position once") {
  const auto reference = whole_epoch(small_options());
  for (const auto uneven : {Uneven::pad, Uneven::keep, Uneven::drop}) {
    Progress saved[2];
    Delivered delivered;
    for (int rank = 0; rank < 2; ++rank) {
      auto options = of_rank(rank, 2);
      options.uneven = uneven;
      Loader loader(open(folder().root()), small_plan(), options);
      Epoch epoch = loader.epoch(3);
      for (int i = 0; i < 3; ++i) collect(*epoch.next(), delivered);
      saved[rank] = epoch.progress();
    }
    CHECK(saved[0] == saved[1]);
    CHECK(saved[0].positions == 48);
    for (const int ranks : {3, 1, 4}) {
      Delivered rest;
      for (int rank = 0; rank < ranks; ++rank) {
        auto options = of_rank(rank, ranks);
        options.uneven = uneven;
        options.batch_size = 5;
        Loader loader(open(folder().root()), small_plan(), options);
        collect(loader.epoch(3, saved[0]), rest);
      }
      // 57 are left: 19 for each of 3 ranks; of 4, with one sample too many or three too few.
      const std::size_t count = ranks != 4               ? 57
                                : uneven == Uneven::pad  ? 60
                                : uneven == Uneven::drop ? 56
                                                         : 57;
      CHECK(rest.size() == count);
      CHECK(rest.begin()->first == 48);
      rest.erase(rest.lower_bound(105), rest.end());
      auto expected = tail(reference, 48);
      if (count == 56) expected.erase(104);
      CHECK(rest == expected);
    }
  }
}

TEST_CASE("ranks with unequal shares end at the same place, and nothing comes after it") {
  for (int rank = 0; rank < 2; ++rank) {
    auto options = of_rank(rank, 2);
    options.uneven = Uneven::keep;
    options.batch_size = 53;  // the first rank's whole share, one more than the second's
    Loader loader(open(folder().root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    CHECK(epoch.next()->size() == (rank == 0 ? 53 : 52));
    CHECK(epoch.progress() == Progress{105, {}});
    for (const std::uint64_t end : {105u, 106u, 1000u}) {
      Loader next(open(folder().root()), small_plan(), options);
      Epoch nothing = next.epoch(0, {.positions = end});
      CHECK(nothing.size() == 0);
      CHECK_FALSE(nothing.next());
      CHECK_FALSE(nothing.next());
      CHECK_MESSAGE(next.stats().reader.empty(), "no thread was started for it");
    }
  }
}

TEST_CASE("batches taken beyond the front are neither loaded nor given again") {
  for (auto reader : readers) {
    Loader loader(open(folder().root()), small_plan(), small_options(reader));
    const Progress start{16, {1, 3, 4}};
    Epoch epoch = loader.epoch(3, start);
    CHECK(epoch.size() == 9);
    CHECK(epoch.progress() == start);
    std::vector<std::int64_t> numbers;
    std::vector<Progress> points;
    Delivered delivered;
    while (const auto batch = epoch.next()) {
      numbers.push_back(batch->number);
      points.push_back(epoch.progress());
      collect(*batch, delivered);
    }
    CHECK(numbers == std::vector<std::int64_t>{0, 2, 5, 6, 7, 8, 9, 10, 11});
    CHECK(points[0] == Progress{32, {1, 2}});
    CHECK(points[1] == Progress{56, {}});
    CHECK(points[8] == Progress{105, {}});
    auto expected = tail(whole_epoch(small_options()), 16);
    for (const std::uint64_t batch : start.beyond) {
      for (std::uint64_t k = 0; k < 8; ++k) expected.erase(16 + batch * 8 + k);
    }
    CHECK(delivered == expected);
    CHECK(loader.stats().read.count == expected.size());
  }
}

TEST_CASE("out of order, a stop anywhere and a second loader deliver the whole epoch once") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  const auto reference = whole_epoch(small_options());
  for (int round = 0; round < 20; ++round) {
    auto options = small_options(readers[round % 2]);
    options.in_order = false;
    options.batch_size = 3;
    options.prefetch_factor = 6;
    options.num_workers = 4;
    Delivered delivered;
    Progress progress;
    bool over = false;
    while (!over) {
      Loader loader(open(folder().root()), small_plan(), options);
      Epoch epoch = loader.epoch(3, progress);
      CHECK(epoch.progress() == progress);
      over = true;
      std::size_t left = random() % 20;
      while (const auto batch = epoch.next()) {
        collect(*batch, delivered);
        progress = epoch.progress();
        over = left-- > 0;
        if (!over) break;
      }
    }
    CHECK(progress == Progress{105, {}});
    CHECK(delivered == reference);
  }
}

TEST_CASE("out of order, what overtook a slow file is remembered") {
  SampleFolder files(1, 5);
  const HeldOpens opens(files.root() / "c00");
  if (!opens.works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  auto options = small_options(ReaderKind::pool);
  options.in_order = options.shuffle = false;
  options.batch_size = 1;
  options.prefetch_factor = 4;
  options.timeout = std::chrono::seconds(20);
  auto loader = std::make_unique<Loader>(open(files.root()), small_plan(), options);
  fanotify_event_metadata slow{};
  std::thread server([&] {
    for (int i = 0; i < 5; ++i) {
      const auto event = opens.next();
      char name[4096] = {};
      const auto link = "/proc/self/fd/" + std::to_string(event.fd);
      REQUIRE(::readlink(link.c_str(), name, sizeof name - 1) > 0);
      if (name == files.file(0, 0).string()) {
        slow = event;
      } else {
        opens.allow(event);
      }
    }
  });
  Epoch epoch = loader->epoch(0);
  std::set<std::uint64_t> taken;
  for (int i = 0; i < 3; ++i) taken.insert(epoch.next()->positions[0]);
  server.join();
  CHECK(taken == std::set<std::uint64_t>{1, 2, 3});
  CHECK(epoch.progress() == Progress{0, {1, 2, 3}});
  opens.allow(slow);
  CHECK(epoch.next()->positions[0] == 0);
  CHECK(epoch.progress() == Progress{4, {}});
}

TEST_CASE("a failed batch counts as taken") {
  SampleFolder files(1, 12);
  std::filesystem::resize_file(files.file(0, 5), 300);
  auto options = small_options();
  options.batch_size = 4;
  options.shuffle = false;
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  CHECK(epoch.next());
  CHECK_THROWS_AS((void)epoch.next(), LoadError);
  CHECK(epoch.progress() == Progress{8, {}});
}

TEST_CASE("batches beyond the front that are not ascending are refused") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  for (const std::vector<std::uint64_t>& beyond :
       {std::vector<std::uint64_t>{2, 1}, std::vector<std::uint64_t>{1, 1}}) {
    CHECK_THROWS_AS((void)loader.epoch(0, Progress{0, beyond}), std::invalid_argument);
    CHECK_THROWS_AS((void)loader.epoch(
                        0, [] { return std::nullopt; }, Progress{0, beyond}),
                    std::invalid_argument);
  }
}

TEST_CASE("progress is the longest prefix and what lies beyond it, counted from there") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    constexpr std::uint64_t batches = 30;
    constexpr std::size_t window = 5;
    const auto end_of = [](std::uint64_t number) { return 100 + 7 * (number + 1); };
    std::set<std::uint64_t> delivered;
    Progress start{100, {}};
    for (std::uint64_t number = 1; number < batches; ++number) {
      if (random() % 4 == 0) delivered.insert(number);
    }
    start.beyond.assign(delivered.begin(), delivered.end());
    ProgressTracker tracker(start, window);
    std::vector<std::uint64_t> pulled;  // and not delivered
    std::uint64_t next = 0;
    while (next < batches || !pulled.empty()) {
      if (next < batches && pulled.size() < window && random() % 2 == 0) {
        const auto number = tracker.pulled(end_of(next));
        CHECK(number.has_value() == !delivered.contains(next));
        if (number) {
          CHECK(*number == next);
          pulled.push_back(next);
        }
        ++next;
      } else if (!pulled.empty()) {
        const auto which = static_cast<std::ptrdiff_t>(random() % pulled.size());
        tracker.delivered(pulled[static_cast<std::size_t>(which)]);
        delivered.insert(pulled[static_cast<std::size_t>(which)]);
        pulled.erase(pulled.begin() + which);
      }
      std::uint64_t prefix = 0;
      while (prefix < next && delivered.contains(prefix)) ++prefix;
      Progress expected{prefix == 0 ? 100 : end_of(prefix - 1), {}};
      for (const std::uint64_t number : delivered) {
        if (number >= prefix) expected.beyond.push_back(number - prefix);
      }
      REQUIRE(tracker.progress() == expected);
    }
  }
}
