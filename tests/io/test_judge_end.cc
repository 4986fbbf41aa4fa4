#include <doctest/doctest.h>

#include "io/judge_end.h"

namespace ringfeed::io {
namespace {

constexpr std::size_t most = 1000;

TEST_CASE("a short read with a clean tail is believed, one without is read on") {
  CHECK(judge_end({.asked = 100, .got = 60, .total = 60, .room = 100, .tail_clean = true}, most) ==
        EndVerdict::believed);
  CHECK(judge_end({.asked = 100, .got = 60, .total = 60, .room = 100, .tail_clean = false}, most) ==
        EndVerdict::read_on);
}

TEST_CASE("a read that gave all it asked for is read on: only a short one can be the end") {
  CHECK(judge_end({.asked = 60, .got = 60, .total = 60, .room = 100, .tail_clean = true}, most) ==
        EndVerdict::read_on);
}

TEST_CASE("a read of 0 bytes ends a file whatever its tail, and an empty one is no file") {
  CHECK(judge_end({.asked = 40, .got = 0, .total = 60, .room = 100, .tail_clean = false}, most) ==
        EndVerdict::ended);
  CHECK(judge_end({.asked = 100, .got = 0, .total = 0, .room = 100, .tail_clean = false}, most) ==
        EndVerdict::empty);
}

TEST_CASE("a full buffer grows even with a clean tail: the file may go on") {
  CHECK(judge_end({.asked = 40, .got = 40, .total = 100, .room = 100, .tail_clean = true}, most) ==
        EndVerdict::grow);
}

TEST_CASE("a file of the largest legal size is whole, and one byte more is too large") {
  CHECK(judge_end(
            {.asked = most + 1, .got = most, .total = most, .room = most + 1, .tail_clean = true},
            most) == EndVerdict::believed);
  CHECK(judge_end({.asked = 1, .got = 0, .total = most, .room = most + 1, .tail_clean = true},
                  most) == EndVerdict::ended);
  CHECK(judge_end({.asked = most + 1,
                   .got = most + 1,
                   .total = most + 1,
                   .room = most + 1,
                   .tail_clean = true},
                  most) == EndVerdict::too_large);
}

}  // namespace
}  // namespace ringfeed::io
