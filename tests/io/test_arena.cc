#include <doctest/doctest.h>

#include <cstring>
#include <random>
#include <vector>

#include "io/arena.h"

using ringfeed::io::Arena;

TEST_CASE("an arena hands out disjoint extents and refuses what does not fit") {
  Arena arena(4 * Arena::page);
  const auto a = arena.allocate(1);
  const auto b = arena.allocate(2 * Arena::page);
  REQUIRE(a);
  REQUIRE(b);
  CHECK(a->bytes == Arena::page);
  CHECK(b->offset == Arena::page);
  CHECK_FALSE(arena.allocate(2 * Arena::page));
  CHECK(arena.in_use() == 3 * Arena::page);
}

TEST_CASE("freed neighbours join, in whatever order they are freed") {
  for (const auto& order : {std::vector{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
    Arena arena(3 * Arena::page);
    std::vector<Arena::Extent> extents;
    for (int i = 0; i < 3; ++i) extents.push_back(*arena.allocate(Arena::page));
    for (int i : order) arena.free(extents[static_cast<std::size_t>(i)]);
    CHECK(arena.in_use() == 0);
    CHECK(arena.allocate(3 * Arena::page));
  }
}

TEST_CASE("an extent grows in place only into free pages, and gives its tail back") {
  Arena arena(4 * Arena::page);
  auto a = *arena.allocate(Arena::page);
  auto b = *arena.allocate(Arena::page);
  CHECK_FALSE(arena.extend(a, 2 * Arena::page));
  CHECK(arena.extend(b, 3 * Arena::page));
  CHECK(b.bytes == 3 * Arena::page);
  arena.shrink(b, 1);
  CHECK(b.bytes == Arena::page);
  CHECK(arena.allocate(2 * Arena::page));
}

TEST_CASE("random use never overlaps, never leaks and never exceeds the arena") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  Arena arena(64 * Arena::page);
  std::vector<std::pair<Arena::Extent, int>> held;
  const auto mark = [&](const Arena::Extent& e, int value) {
    std::memset(arena.data(e), value, e.bytes);
  };
  for (int step = 0; step < 20000; ++step) {
    const std::size_t bytes = random() % (8 * Arena::page) + 1;
    const auto i = held.empty() ? 0 : random() % held.size();
    switch (random() % 4) {
      case 0:
      case 1:
        if (auto extent = arena.allocate(bytes)) {
          const int value = static_cast<int>(random() % 256);
          mark(*extent, value);
          held.emplace_back(*extent, value);
        }
        break;
      case 2:
        if (!held.empty()) {
          arena.free(held[i].first);
          held.erase(held.begin() + static_cast<std::ptrdiff_t>(i));
        }
        break;
      default:
        if (!held.empty()) {
          auto& [extent, value] = held[i];
          if (random() % 2 == 0) {
            if (arena.extend(extent, bytes)) mark(extent, value);
          } else {
            arena.shrink(extent, bytes);
          }
        }
    }
    std::size_t sum = 0;
    for (const auto& [extent, value] : held) {
      sum += extent.bytes;
      REQUIRE(std::to_integer<int>(arena.data(extent)[0]) == value);
      REQUIRE(std::to_integer<int>(arena.data(extent)[extent.bytes - 1]) == value);
    }
    REQUIRE(sum == arena.in_use());
  }
}
