#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <set>
#include <thread>
#include <vector>

#include "ringfeed/batch.h"

namespace ringfeed {
namespace {

constexpr std::size_t huge_page = std::size_t{2} << 20;

/// Whether the first page is part of this process's memory at all.
bool is_mapped(const std::byte* page) {
  unsigned char resident = 0;
  return ::mincore(const_cast<std::byte*>(page), 1, &resident) == 0 || errno != ENOMEM;
}

TEST_CASE(
    "blocks are aligned, those of a huge page and more to one, large enough and writable to the "
    "last byte") {
  const auto allocator = make_huge_page_allocator(2);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, huge_page, huge_page + 1,
                                  std::size_t{256} * 3 * 224 * 224 * 4}) {
    CAPTURE(bytes);
    const BatchMemory memory = allocator->allocate(bytes);
    CHECK(reinterpret_cast<std::uintptr_t>(memory.data) % (bytes < huge_page ? 64 : huge_page) ==
          0);
    CHECK(memory.bytes >= bytes);
    REQUIRE(memory.bytes > 0);
    memory.data[0] = std::byte{1};
    memory.data[memory.bytes - 1] = std::byte{2};
  }
}

TEST_CASE("blocks in use at once do not overlap") {
  const auto allocator = make_huge_page_allocator(2);
  std::vector<BatchMemory> held;
  for (int i = 0; i < 8; ++i) {
    held.push_back(allocator->allocate(3 * huge_page));
    std::memset(held.back().data, i, held.back().bytes);
  }
  for (int i = 0; i < 8; ++i) {
    const BatchMemory& memory = held[static_cast<std::size_t>(i)];
    CHECK(memory.data[0] == std::byte(i));
    CHECK(memory.data[memory.bytes - 1] == std::byte(i));
  }
}

TEST_CASE("a block given back serves the next request of its size, faulted in already") {
  const auto allocator = make_huge_page_allocator(2);
  BatchMemory memory = allocator->allocate(3 * huge_page);
  const std::byte* const first = memory.data;
  std::memset(memory.data, 7, memory.bytes);
  memory = {};
  memory = allocator->allocate(3 * huge_page - 100);
  CHECK(memory.data == first);
  CHECK(memory.data[0] == std::byte{7});
}

TEST_CASE("returned blocks stay while few enough are alive, and none of another size does") {
  const auto allocator = make_huge_page_allocator(2);
  std::vector<BatchMemory> held;
  std::vector<std::byte*> blocks;
  for (int i = 0; i < 5; ++i) {
    held.push_back(allocator->allocate(huge_page));
    blocks.push_back(held.back().data);
  }
  const auto mapped = [&] {
    int count = 0;
    for (const std::byte* block : blocks) count += is_mapped(block);
    return count;
  };
  CHECK(mapped() == 5);
  held.pop_back();
  CHECK_MESSAGE(mapped() == 4, "four in use are more than the two to keep");
  held.clear();
  CHECK(mapped() == 2);
  // In one place at a time: the new block may land where an old one was.
  const BatchMemory other = allocator->allocate(64 * huge_page);
  int left = 0;
  for (const std::byte* block : blocks) {
    left += is_mapped(block) && (block < other.data || block >= other.data + other.bytes);
  }
  CHECK(left == 0);
}

TEST_CASE("memory outlives the allocator and goes with its last owner") {
  auto allocator = make_huge_page_allocator(2);
  BatchMemory memory = allocator->allocate(huge_page);
  BatchMemory idle = allocator->allocate(huge_page);
  const std::byte* const idle_block = idle.data;
  idle = {};
  CHECK(is_mapped(idle_block));
  allocator.reset();
  CHECK_FALSE(is_mapped(idle_block));

  std::memset(memory.data, 1, memory.bytes);
  const std::byte* const block = memory.data;
  std::shared_ptr<void> second = memory.owner;
  memory = {};
  CHECK(is_mapped(block));
  second.reset();
  CHECK_FALSE(is_mapped(block));
}

TEST_CASE("an impossible size is a bad_alloc that says of what, and the allocator stays usable") {
  const auto allocator = make_huge_page_allocator(2);
  CHECK_THROWS_AS(allocator->allocate(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
  CHECK_THROWS_WITH_AS(
      allocator->allocate(std::size_t{1} << 60),
      "no memory for a batch of 1152921504606846976 bytes; lower batch_size or prefetch_factor, or "
      "raise the process's limit on memory (ulimit -v, the container's)",
      std::bad_alloc);
  CHECK(allocator->allocate(1).data != nullptr);
}

TEST_CASE("owners are dropped on other threads while new blocks are asked for") {
  const auto allocator = make_huge_page_allocator(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<BatchMemory> held;
    for (int i = 0; i < 3; ++i) {
      held.push_back(allocator->allocate(huge_page));
      held.back().data[0] = std::byte(i);
    }
    std::set<std::byte*> distinct;
    for (const BatchMemory& memory : held) distinct.insert(memory.data);
    CHECK(distinct.size() == 3);
    std::thread dropper([&] { held.clear(); });
    const BatchMemory mine = allocator->allocate(huge_page);
    mine.data[0] = std::byte{9};
    dropper.join();
    CHECK(mine.data[0] == std::byte{9});
  }
}

TEST_CASE("the footprint of an allocation is the memory that comes, with what malloc adds") {
  const auto allocator = make_huge_page_allocator(1);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{12 * 1024},
                                  huge_page - 1, huge_page, huge_page + 1}) {
    CAPTURE(bytes);
    const std::size_t got = allocator->allocate(bytes).bytes;
    CHECK(allocator->footprint(bytes) == got + (got < huge_page ? 128 : 0));
  }
}

TEST_CASE("a block is no larger than what it holds, to a page") {
  const auto allocator = make_huge_page_allocator(2);
  CHECK(allocator->allocate(3 * 32 * 32 * 4).bytes == 3 * 32 * 32 * 4);
  CHECK(allocator->allocate(huge_page - 1).bytes == huge_page);
  CHECK(allocator->allocate(huge_page + 5000).bytes == huge_page + 8192);
}

TEST_CASE("a small last batch leaves the blocks of the others for the next epoch") {
  const auto allocator = make_huge_page_allocator(3);
  BatchMemory memory = allocator->allocate(8 * huge_page);
  const std::byte* const block = memory.data;
  memory = {};
  for (const std::size_t bytes : {std::size_t{100}, huge_page}) {
    memory = allocator->allocate(bytes);
    CHECK(memory.bytes < 8 * huge_page);
    memory = {};
    memory = allocator->allocate(8 * huge_page);
    CHECK(memory.data == block);
    memory = {};
  }
}

TEST_CASE("a forked child drops and asks for blocks without touching the parent's") {
  const auto allocator = make_huge_page_allocator(2);
  BatchMemory memory = allocator->allocate(huge_page);
  memory.data[0] = std::byte{5};
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::alarm(60);
    memory = {};
    const BatchMemory fresh = allocator->allocate(huge_page);
    fresh.data[0] = std::byte{6};
    ::_exit(fresh.data[0] == std::byte{6} ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(memory.data[0] == std::byte{5});
}

}  // namespace
}  // namespace ringfeed
