#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <set>

#include "data/random.h"

namespace {

using ringfeed::data::Key;
using ringfeed::data::make_key;
using ringfeed::data::of_view;
using ringfeed::data::Purpose;
using ringfeed::data::RandomStream;

}  // namespace

TEST_CASE("draws are Philox4x32-10 with the documented counter layout") {
  RandomStream zero(Key{{0, 0}}, 0, Purpose::order);
  CHECK(zero.next_u64() == 0xe169c58d'6627e8d5u);

  // Counter 1, 2, 3, 4: position 1 | 2 << 32, purpose 3, draw number 4 << 16.
  RandomStream draws(Key{{5, 6}}, 0x2'0000'0001u, Purpose::replacement);
  for (int i = 0; i < 4 << 16; ++i) draws.next_u64();
  CHECK(draws.next_u64() == 0x889c87c5'c0c839bcu);
}

TEST_CASE("a view stands in the counter above the purpose") {
  // Philox of the counters 7, 0, 1, 0 and 7, 0, 1 | 1 << 8, 0.
  const Key key{{5, 6}};
  RandomStream first(key, 7, Purpose::crop), other(of_view(key, 1), 7, Purpose::crop);
  CHECK(first.next_u64() == 0x3a4624e6'f4a681ecu);
  CHECK(other.next_u64() == 0xe1edea11'46b03cb6u);
}

TEST_CASE("the key is SplitMix64's finaliser over seed, then epoch") {
  CHECK(make_key(0, 0).word[0] == 0);
  CHECK(make_key(0, 0).word[1] == 0);
  // By tests/augment/make_golden.py's mix: mix(mix(12345) ^ 678).
  const Key key = make_key(12345, 678);
  CHECK((key.word[0] | std::uint64_t{key.word[1]} << 32) == 0xbace00f4d1477f35u);
}

TEST_CASE("positions, purposes, views, epochs and draws never share a value") {
  std::set<std::uint64_t> seen;
  std::size_t drawn = 0;
  for (std::uint64_t epoch = 0; epoch < 8; ++epoch) {
    for (std::uint64_t position = 0; position < 64; ++position) {
      for (const Purpose purpose : {Purpose::order, Purpose::crop, Purpose::mixing}) {
        for (const std::size_t view : {0, 1, 255}) {
          RandomStream draws(of_view(make_key(1, epoch), view), position, purpose);
          for (int i = 0; i < 8; ++i, ++drawn) seen.insert(draws.next_u64());
        }
      }
    }
  }
  CHECK(seen.size() == drawn);
}

TEST_CASE("uniform draws are the top 53 bits, below 1") {
  RandomStream bits(make_key(2, 3), 4, Purpose::crop), draws = bits;
  for (int i = 0; i < 1000; ++i) {
    const double u = draws.uniform();
    CHECK(u == static_cast<double>(bits.next_u64() >> 11) / 9007199254740992.0);
    CHECK((u >= 0 && u < 1));
  }
}

TEST_CASE("bounded draws are Lemire's, one draw a rejection") {
  // 2^63 + 1 rejects almost half of all draws: (draw * n) mod 2^64 below 2^64 mod n.
  constexpr std::uint64_t n = (std::uint64_t{1} << 63) + 1;
  __extension__ using uint128 = unsigned __int128;
  RandomStream raw(make_key(5, 5), 5, Purpose::order), draws = raw;
  int rejected = 0;
  for (int i = 0; i < 1000; ++i) {
    uint128 product = static_cast<uint128>(raw.next_u64()) * n;
    while (static_cast<std::uint64_t>(product) < (std::uint64_t{1} << 63) - 1) {
      product = static_cast<uint128>(raw.next_u64()) * n;
      ++rejected;
    }
    REQUIRE(draws.bounded(n) == static_cast<std::uint64_t>(product >> 64));
  }
  CHECK(rejected > 500);
}

TEST_CASE("bounded draws are even over small ranges") {
  RandomStream draws(make_key(7, 7), 0, Purpose::order);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(draws.bounded(counts.size()));
  // Six standard deviations: sqrt(70000 * 1/7 * 6/7) = 92.6.
  for (const int count : counts) CHECK((count > 9440 && count < 10560));
  CHECK(draws.bounded(1) == 0);
}
