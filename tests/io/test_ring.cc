#include <sys/time.h>

#include <csignal>

#include "engine_test.h"
#include "io/ring.h"

namespace ringfeed::io {
namespace {

bool skip() {
  if (ring_missing().empty()) return false;
  MESSAGE("SKIPPED, no io_uring here: " << ring_missing());
  return true;
}

TEST_CASE("every entry queued is submitted and completes with its own user_data") {
  if (skip()) return;
  Ring ring({.files = 4, .entries = 8});
  CHECK(ring.space_left() == 8);
  for (std::uint64_t i = 0; i < 8; ++i) {
    io_uring_sqe* sqe = ring.next_sqe();
    REQUIRE(sqe != nullptr);
    io_uring_prep_nop(sqe);
    sqe->user_data = 100 + i;
  }
  CHECK(ring.space_left() == 0);
  const io_uring_sqe* first = ring.first_unsubmitted();
  REQUIRE(first != nullptr);
  CHECK(first->user_data == 100);

  CHECK(ring.submit(true));
  CHECK(ring.space_left() == 8);
  CHECK(ring.first_unsubmitted() == nullptr);
  std::uint64_t expected = 100;
  ring.drain([&](std::uint64_t data, int result) {
    CHECK(data == expected++);
    CHECK(result == 0);
  });
  CHECK(expected == 108);
}

TEST_CASE("submitting nothing does not wait") {
  if (skip()) return;
  const Deadline deadline(60);
  Ring ring({.files = 1});
  CHECK(ring.submit(false));
  ring.drain([](std::uint64_t, int) { FAIL("a completion of nothing"); });
}

TEST_CASE("the table has as many descriptors as asked for, and no note") {
  if (skip()) return;
  const Ring ring({.files = 1024});
  CHECK(ring.files() == 1024);
  CHECK(ring.note().empty());
}

TEST_CASE("a signal during the wait is reported as nothing taken, not as an error") {
  if (skip()) return;
  const Deadline deadline(60);
  const std::string said = in_child([]() -> std::string {
    Ring ring({.files = 1});
    struct sigaction action{};
    action.sa_handler = [](int) {};  // and no SA_RESTART
    ::sigaction(SIGALRM, &action, nullptr);
    const itimerval soon{{0, 1000}, {0, 1000}};  // repeats, so one falls into the wait
    ::setitimer(ITIMER_REAL, &soon, nullptr);
    return ring.submit(true) ? "a completion of nothing" : "interrupted";
  });
  CHECK(said == "interrupted");
}

TEST_CASE("a ring cannot be used by a forked child, which leaves it as it was") {
  if (skip()) return;
  Ring ring({.files = 1, .entries = 8});
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(0);  // unmapped by MADV_DONTFORK; dropped without a destructor
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  io_uring_prep_nop(ring.next_sqe());
  CHECK(ring.submit(true));
  int completions = 0;
  ring.drain([&](std::uint64_t, int) { ++completions; });
  CHECK(completions == 1);
}

}  // namespace
}  // namespace ringfeed::io
