#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "data/epoch_order.h"
#include "data/random.h"

namespace {

using ringfeed::Uneven;
using ringfeed::data::EpochOrder;
using ringfeed::data::OrderOptions;
using ringfeed::data::Sample;

struct TorchCase {
  std::size_t length;
  int world_size, rank;
  bool drop_last;
  std::vector<std::uint32_t> indices;
};

const TorchCase torch_cases[] = {
#include "distributed_sampler.inc"
};

std::vector<std::uint32_t> indices_of(const EpochOrder& order) {
  std::vector<std::uint32_t> indices;
  for (std::size_t k = 0; k < order.size(); ++k) indices.push_back(order[k].entry);
  return indices;
}

}  // namespace

TEST_CASE("shares and content are DistributedSampler's, padding and dropping") {
  for (const TorchCase& c : torch_cases) {
    CAPTURE(c.length);
    CAPTURE(c.world_size);
    CAPTURE(c.rank);
    CAPTURE(c.drop_last);
    OrderOptions options;
    options.shuffle = false;
    options.rank = c.rank;
    options.world_size = c.world_size;
    options.uneven = c.drop_last ? Uneven::drop : Uneven::pad;
    CHECK(indices_of(EpochOrder(c.length, {}, options)) == c.indices);
    CHECK(EpochOrder::share(c.length, options) == c.indices.size());
  }
}

TEST_CASE("the ranks together visit each position once, and each sample but for padding") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t total = random() % 200;
    OrderOptions options;
    options.seed = random();
    options.epoch = random() % 3;
    options.shuffle = random() % 2 == 0;
    options.world_size = 1 + static_cast<int>(random() % 20);
    const auto ranks = static_cast<std::size_t>(options.world_size);
    for (const Uneven uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
      CAPTURE(total);
      CAPTURE(ranks);
      CAPTURE(static_cast<int>(uneven));
      options.uneven = uneven;
      std::set<std::uint64_t> positions;
      std::set<std::uint32_t> real;
      std::size_t samples = 0, padding = 0;
      for (options.rank = 0; options.rank < options.world_size; ++options.rank) {
        const EpochOrder order(total, {}, options);
        for (std::size_t k = 0; k < order.size(); ++k, ++samples) {
          const Sample sample = order[k];
          REQUIRE(sample.position == k * ranks + static_cast<std::size_t>(options.rank));
          REQUIRE(sample.padding == (sample.position >= total));
          positions.insert(sample.position);
          padding += sample.padding;
          if (!sample.padding) REQUIRE(real.insert(sample.entry).second);
        }
      }
      const std::size_t up = (total + ranks - 1) / ranks * ranks;
      const std::size_t expected = uneven == Uneven::pad    ? up
                                   : uneven == Uneven::drop ? total / ranks * ranks
                                                            : total;
      CHECK(samples == expected);
      CHECK(positions.size() == expected);
      CHECK((positions.empty() || *positions.rbegin() == expected - 1));
      CHECK(real.size() == std::min(expected, total));
      CHECK(padding == expected - std::min(expected, total));
    }
  }
}

TEST_CASE(
    "from any position on, any number of ranks finish the epoch by the rules of a whole one") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 200; ++round) {
    const std::size_t total = random() % 100;
    OrderOptions options;
    options.seed = random();
    const EpochOrder whole(total, {}, options);
    options.start = random() % (total + 10);
    options.world_size = 1 + static_cast<int>(random() % 7);
    const auto ranks = static_cast<std::size_t>(options.world_size);
    const std::size_t left = total - std::min<std::size_t>(total, options.start);
    for (const Uneven uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
      CAPTURE(total);
      CAPTURE(ranks);
      CAPTURE(options.start);
      CAPTURE(static_cast<int>(uneven));
      options.uneven = uneven;
      std::set<std::uint64_t> positions;
      for (options.rank = 0; options.rank < options.world_size; ++options.rank) {
        const EpochOrder order(total, {}, options);
        CHECK(order.size() == EpochOrder::share(total, options));
        for (std::size_t k = 0; k < order.size(); ++k) {
          const Sample sample = order[k];
          REQUIRE(sample.position ==
                  options.start + k * ranks + static_cast<std::size_t>(options.rank));
          REQUIRE(sample.padding == (sample.position >= total));
          REQUIRE(sample.entry == whole[sample.position % total].entry);
          positions.insert(sample.position);
        }
      }
      CHECK(positions.size() == (uneven == Uneven::pad    ? (left + ranks - 1) / ranks * ranks
                                 : uneven == Uneven::drop ? left / ranks * ranks
                                                          : left));
      CHECK((positions.empty() || *positions.begin() == options.start));
    }
  }
}

TEST_CASE("the order is a permutation that seed and epoch decide and ranks share") {
  const auto order_of = [](std::uint64_t seed, std::uint64_t epoch) {
    OrderOptions options;
    options.seed = seed;
    options.epoch = epoch;
    return indices_of(EpochOrder(1000, {}, options));
  };
  auto order = order_of(1, 0);
  CHECK(order == order_of(1, 0));
  CHECK(order != order_of(1, 1));
  CHECK(order != order_of(2, 0));

  OrderOptions second;
  second.seed = 1;
  second.rank = 1;
  second.world_size = 4;
  const EpochOrder share(1000, {}, second);
  for (std::size_t k = 0; k < share.size(); ++k) REQUIRE(share[k].entry == order[k * 4 + 1]);

  std::sort(order.begin(), order.end());
  std::vector<std::uint32_t> all(1000);
  std::iota(all.begin(), all.end(), 0u);
  CHECK(order == all);
}

TEST_CASE("the permutation never changes: a run begun before an update goes on after it") {
  OrderOptions options;
  options.seed = 42;
  options.epoch = 7;
  CHECK(indices_of(EpochOrder(10, {}, options)) ==
        std::vector<std::uint32_t>{3, 8, 9, 0, 5, 2, 1, 7, 4, 6});
}

TEST_CASE("the permutation is Fisher-Yates from the back, one draw a step") {
  using ringfeed::data::RandomStream;
  for (const std::size_t total : {0, 1, 2, 63, 64, 65, 66, 129, 1000}) {
    std::vector<std::uint32_t> expected(total);
    std::iota(expected.begin(), expected.end(), 0u);
    RandomStream draws(ringfeed::data::make_key(0, 0), 0, ringfeed::data::Purpose::order);
    for (std::size_t left = total; left > 1; --left) {
      std::swap(expected[left - 1], expected[draws.bounded(left)]);
    }
    CHECK(indices_of(EpochOrder(total, {}, {})) == expected);
  }
}

TEST_CASE("all orders of a few samples are equally likely") {
  std::map<std::vector<std::uint32_t>, int> counts;
  OrderOptions options;
  for (options.epoch = 0; options.epoch < 24'000; ++options.epoch) {
    ++counts[indices_of(EpochOrder(4, {}, options))];
  }
  CHECK(counts.size() == 24);
  // Six standard deviations of 24,000 draws at 1/24: 186.
  for (const auto& [order, count] : counts) CHECK((count > 814 && count < 1186));
}

TEST_CASE("given indices are visited as given, repetitions included") {
  const std::vector<std::uint32_t> indices = {9, 3, 3, 7, 0};
  OrderOptions options;
  options.shuffle = false;
  CHECK(indices_of(EpochOrder(10, indices, options)) == indices);

  options.world_size = 2;
  options.rank = 1;
  const EpochOrder padded(10, indices, options);
  CHECK(indices_of(padded) == std::vector<std::uint32_t>{3, 7, 9});
  CHECK(padded[2].position == 5);
  CHECK(padded[2].padding);

  options.shuffle = true;
  options.world_size = 1;
  options.rank = 0;
  auto shuffled = indices_of(EpochOrder(10, indices, options));
  std::sort(shuffled.begin(), shuffled.end());
  CHECK(shuffled == std::vector<std::uint32_t>{0, 3, 3, 7, 9});
}

TEST_CASE("a rank or index outside its range is refused") {
  const std::vector<std::uint32_t> indices = {0, 10};
  CHECK_THROWS_AS(EpochOrder(10, indices, {}), std::invalid_argument);
  OrderOptions options;
  for (const auto& [rank, world_size] : {std::pair{-1, 1}, {1, 1}, {0, 0}, {0, -2}, {4, 4}}) {
    options.rank = rank;
    options.world_size = world_size;
    CHECK_THROWS_AS(EpochOrder(10, {}, options), std::invalid_argument);
  }
  CHECK_THROWS_AS(EpochOrder(std::size_t{1} << 32, {}, {}), std::invalid_argument);
}

TEST_CASE("an empty dataset has an empty order on every rank") {
  OrderOptions options;
  options.world_size = 3;
  for (const Uneven uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
    options.uneven = uneven;
    CHECK(EpochOrder(0, {}, options).size() == 0);
  }
}
