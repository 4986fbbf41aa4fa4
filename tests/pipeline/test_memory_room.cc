#include <doctest/doctest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/loader_test.h"
#include "pipeline/memory_room.h"
#include "pipeline/settings.h"
#include "support/in_child.h"

namespace ringfeed::pipeline {
namespace {

constexpr std::size_t kib = 1024;
constexpr std::size_t batch = 8 * 3 * 8 * 12 * sizeof(float);  // of the small loader

Settings settings_where(const std::optional<MemoryRoom>& room,
                        LoaderOptions options = testing::small_options()) {
  options.depth = 40;
  return resolve(std::move(options), {testing::small_plan()},
                 testing::open(testing::folder().root()), room);
}

MemoryRoom room_of(std::uint64_t share) { return {.all = 8 * share, .share = share, .found = {}}; }

TEST_CASE("read-ahead takes at most a quarter of the rank's part by itself") {
  const auto read_ahead = [](const std::optional<MemoryRoom>& room) {
    return settings_where(room).read_ahead_bytes;
  };
  const std::size_t usual = 40 * 128 * kib;
  CHECK(read_ahead({}) == usual);
  CHECK(read_ahead(room_of(4 * usual)) == usual);
  CHECK(read_ahead(room_of(3 * usual)) == 3 * usual / 4);
  CHECK(read_ahead(room_of(usual)) == usual / 4);
  CHECK_MESSAGE(read_ahead(room_of(1)) == 256 * kib, "which moves");
  CHECK(read_ahead(room_of(0)) == 256 * kib);
}

TEST_CASE("one batch is decoded ahead where two would take more than half of the rank's part") {
  const auto ahead = [](const std::optional<MemoryRoom>& room) {
    return settings_where(room).prefetch_factor;
  };
  CHECK(ahead({}) == 2);
  CHECK(ahead(room_of(4 * batch)) == 2);
  CHECK(ahead(room_of(4 * batch - 8)) == 1);
  CHECK(ahead(room_of(0)) == 1);
}

TEST_CASE("the bound on memory follows what was chosen") {
  const auto bound = [](const std::optional<MemoryRoom>& room) {
    return settings_where(room).memory_bound;
  };
  const std::size_t footprint = make_huge_page_allocator(1)->footprint(batch);
  CHECK(bound({}) - bound(room_of(0)) == 39 * 128 * kib - 128 * kib + footprint);
}

TEST_CASE("what the caller gives stays, and a memory limit takes the place of what is left") {
  LoaderOptions given = testing::small_options();
  given.prefetch_factor = 5;
  given.read_ahead_bytes = 3000 * kib;
  CHECK(settings_where(room_of(0), given).prefetch_factor == 5);
  CHECK(settings_where(room_of(0), given).read_ahead_bytes == 3000 * kib);
  CHECK(settings_where(room_of(0), given).asks_for_room);
  LoaderOptions limited = testing::small_options();
  limited.memory_limit = std::size_t{1} << 40;
  CHECK(settings_where(room_of(0), limited).prefetch_factor == 2);
  CHECK(settings_where(room_of(0), limited).read_ahead_bytes == 40 * 128 * kib);
  CHECK_FALSE(settings_where(room_of(0), limited).asks_for_room);
  LoaderOptions elsewhere = testing::small_options();
  elsewhere.allocator = std::make_shared<testing::TestAllocator>();
  CHECK_FALSE_MESSAGE(settings_where({}, elsewhere).asks_for_room, "page-locked memory, perhaps");
}

TEST_CASE("ranks share what is left; what a rank's batches hold already is its own") {
  const std::string said = testing::in_child([]() -> std::string {
    const system_limits::Memory found{.limit = 9000, .used = 1000};
    const auto shown = [&] {
      const auto room = memory_room(found);
      return std::to_string(room->all) + "/" + std::to_string(room->share) + " ";
    };
    ::unsetenv("LOCAL_WORLD_SIZE");
    std::string all = shown();
    ::setenv("LOCAL_WORLD_SIZE", "8", 1);
    all += shown();
    BatchMemory held = make_huge_page_allocator(1)->allocate(640);
    all += shown();
    held = {};
    return all + shown() + (memory_room(std::nullopt) ? "some" : "none");
  });
  CHECK(said == "8000/8000 8000/1000 8640/1640 8000/1000 none");
}

}  // namespace
}  // namespace ringfeed::pipeline
