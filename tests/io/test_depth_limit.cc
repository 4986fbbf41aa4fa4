#include <doctest/doctest.h>

#include <cerrno>

#include "io/depth_limit.h"

namespace ringfeed::io {
namespace {

/// `slots` files that are all being opened.
DepthLimit all_opening(std::uint32_t slots) {
  DepthLimit limit(slots);
  for (std::uint32_t slot = 0; slot < slots; ++slot) limit.operation_started(slot);
  return limit;
}

TEST_CASE("as many files as there are slots, until one is refused") {
  DepthLimit limit = all_opening(4);
  CHECK(limit.allows(3));
  CHECK_FALSE(limit.allows(4));
  limit.operation_ended();
  CHECK(limit.refused(3, 4));
  CHECK(limit.any_refused());
  CHECK(limit.allows(2));
  CHECK_FALSE(limit.allows(3));
}

TEST_CASE("the limit falls to what was got, however many are refused, and never below one") {
  DepthLimit limit = all_opening(3);
  for (std::uint32_t slot = 0; slot < 3; ++slot) {
    limit.operation_ended();
    REQUIRE(limit.refused(slot, 3));
  }
  CHECK(limit.allows(0));
  CHECK_FALSE(limit.allows(1));
}

TEST_CASE("a refused file is tried again for every slot that is freed, the longest refused first") {
  DepthLimit limit = all_opening(4);
  for (const std::uint32_t slot : {2u, 0u}) {
    limit.operation_ended();
    REQUIRE(limit.refused(slot, 4));
  }
  CHECK_FALSE(limit.next_retry());
  limit.operation_ended();
  limit.slot_freed();
  CHECK(limit.next_retry() == 2);
  limit.operation_started(2);
  CHECK_FALSE(limit.next_retry());
  CHECK(limit.any_refused());
}

TEST_CASE("with nothing outstanding a refused file is tried again at once") {
  DepthLimit limit = all_opening(2);
  limit.operation_ended();
  REQUIRE(limit.refused(1, 2));
  CHECK_FALSE(limit.next_retry());
  limit.operation_ended();  // the other waits to grow: its slot is not free
  CHECK(limit.next_retry() == 1);
}

TEST_CASE("a slot freed before a refusal is no reason to try again") {
  DepthLimit limit = all_opening(3);
  limit.operation_ended();
  limit.slot_freed();
  limit.operation_ended();
  REQUIRE(limit.refused(1, 2));
  CHECK_FALSE(limit.next_retry());
}

TEST_CASE("a file refused while nothing else was outstanding is not to be tried again") {
  DepthLimit limit(4);
  limit.operation_started(2);
  limit.operation_ended();
  CHECK_FALSE(limit.refused(2, 1));
  CHECK_FALSE(limit.any_refused());
  CHECK(limit.allows(3));
}

TEST_CASE("a refused file that is given up is not tried again") {
  DepthLimit limit = all_opening(2);
  limit.operation_ended();
  REQUIRE(limit.refused(1, 2));
  limit.forget(1);
  CHECK_FALSE(limit.any_refused());
  limit.operation_ended();
  CHECK_FALSE(limit.next_retry());
}

TEST_CASE("the limit rises by one after many files without a refusal, up to the slots") {
  DepthLimit limit = all_opening(4);
  limit.operation_ended();
  REQUIRE(limit.refused(3, 4));
  REQUIRE(limit.refused(2, 4));
  limit.file_read();  // does not count while files are refused
  limit.forget(3);
  limit.forget(2);
  REQUIRE_FALSE(limit.allows(2));
  for (std::size_t i = 1; i < DepthLimit::files_per_rise; ++i) limit.file_read();
  CHECK_FALSE(limit.allows(2));
  limit.file_read();
  CHECK(limit.allows(2));
  CHECK_FALSE(limit.allows(3));
  for (std::size_t i = 0; i < 5 * DepthLimit::files_per_rise; ++i) limit.file_read();
  CHECK(limit.allows(3));
  CHECK_FALSE(limit.allows(4));
}

TEST_CASE("files read before a refusal do not raise the limit after it") {
  DepthLimit limit = all_opening(4);
  limit.operation_ended();
  REQUIRE(limit.refused(3, 4));
  limit.forget(3);
  for (std::size_t i = 1; i < DepthLimit::files_per_rise; ++i) limit.file_read();
  REQUIRE(limit.refused(2, 3));
  limit.forget(2);
  REQUIRE_FALSE(limit.allows(2));
  limit.file_read();
  CHECK_FALSE(limit.allows(2));
}

TEST_CASE("what others may give back is a lack of descriptors or memory, not a fault of the file") {
  for (const int error : {EMFILE, ENFILE, ENOMEM, ENOBUFS, EAGAIN}) {
    CHECK(DepthLimit::out_of_resources(error));
  }
  for (const int error : {ENOENT, EACCES, EIO, EINTR})
    CHECK_FALSE(DepthLimit::out_of_resources(error));
}

}  // namespace
}  // namespace ringfeed::io
