#include <sys/eventfd.h>
#include <sys/time.h>

#include <chrono>
#include <csignal>

#include "base/file_descriptor.h"
#include "engine_test.h"
#include "io/ring.h"

namespace ringfeed::io {
namespace {

using namespace std::chrono_literals;

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

  CHECK(ring.submit(Ring::for_ever));
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
  CHECK(ring.submit(0ns));
  ring.drain([](std::uint64_t, int) { FAIL("a completion of nothing"); });
}

TEST_CASE("a wait with a limit ends at it, and takes no entry of a ring that is full") {
  if (skip()) return;
  const Deadline deadline(60);
  const FileDescriptor silent(::eventfd(0, EFD_CLOEXEC));
  std::uint64_t count[4];
  Ring ring({.files = 1, .entries = 4});
  for (std::uint64_t i = 0; i < 4; ++i) {
    io_uring_sqe* sqe = ring.next_sqe();
    REQUIRE(sqe != nullptr);
    io_uring_prep_read(sqe, silent.get(), &count[i], sizeof count[i], 0);
    sqe->user_data = i;
  }
  REQUIRE(ring.space_left() == 0);
  const auto end = std::chrono::steady_clock::now() + 5ms;
  CHECK(ring.submit(5ms));
  CHECK(std::chrono::steady_clock::now() >= end);
  CHECK(ring.space_left() == 4);
  CHECK(ring.submit(1ms));  // with nothing to submit
  CHECK(ring.space_left() == 4);
  ring.drain([](std::uint64_t, int) { FAIL("a completion of something not asked for"); });

  REQUIRE(::eventfd_write(silent.get(), 1) == 0);
  CHECK(ring.submit(1h));
  int completions = 0;
  ring.drain([&](std::uint64_t data, int result) {
    CHECK(data < 4);
    CHECK(result == sizeof count[0]);
    ++completions;
  });
  CHECK(completions == 1);
}

TEST_CASE("a kernel without a feature that the chains need is refused by the feature's name") {
  const std::uint32_t all = IORING_FEAT_LINKED_FILE | IORING_FEAT_CQE_SKIP | IORING_FEAT_EXT_ARG;
  CHECK(Ring::missing_feature(all) == nullptr);
  const auto without = [](std::uint32_t feature) {
    const char* missing = Ring::missing_feature(~feature);
    REQUIRE(missing != nullptr);
    return std::string(missing);
  };
  CHECK(without(IORING_FEAT_LINKED_FILE).starts_with("deferred file assignment"));
  CHECK(without(IORING_FEAT_CQE_SKIP).starts_with("CQE_SKIP"));
  CHECK(without(IORING_FEAT_EXT_ARG).starts_with("EXT_ARG"));
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
    return ring.submit(Ring::for_ever) ? "a completion of nothing" : "interrupted";
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
  CHECK(ring.submit(Ring::for_ever));
  int completions = 0;
  ring.drain([&](std::uint64_t, int) { ++completions; });
  CHECK(completions == 1);
}

}  // namespace
}  // namespace ringfeed::io
