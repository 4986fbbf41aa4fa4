#include <doctest/doctest.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "doctor.h"
#include "interrupt.h"
#include "output.h"
#include "ringfeed/error.h"
#include "support/deny.h"
#include "support/in_child.h"

namespace ringfeed::cli {
namespace {

constexpr std::uint64_t mib = std::uint64_t{1} << 20;

/// What doctor says where 1 GiB is used and `left` MiB are not, each finding on a line.
std::string said(std::uint64_t left, bool of_cgroup, const char* ranks = nullptr) {
  return testing::in_child([&] {
    ranks == nullptr ? ::unsetenv("LOCAL_WORLD_SIZE") : ::setenv("LOCAL_WORLD_SIZE", ranks, 1);
    const system_limits::Memory found{
        .limit = (1024 + left) * mib, .used = 1024 * mib, .of_cgroup = of_cgroup};
    std::string text;
    for (const Finding& finding : check_memory(pipeline::memory_room(found))) {
      text += finding.subject + ": " + finding.value + "\n";
      if (finding.severity == Severity::warn) text += "warning: " + finding.advice + "\n";
    }
    return text;
  });
}

bool has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

TEST_CASE("doctor tells the limit on memory, what is used and what is left") {
  CHECK(
      has(said(3072, true), "memory: the container's limit 4.0 GiB, 1.0 GiB used, 3.0 GiB left\n"));
  CHECK(
      has(said(3072, false), "memory: the machine's limit 4.0 GiB, 1.0 GiB used, 3.0 GiB left\n"));
  CHECK(has(said(3072, true, "4"), "3.0 GiB left, 768 MiB for each of 4 ranks\n"));
  CHECK(check_memory(std::nullopt).front().value == "no limit is known");
}

TEST_CASE("doctor tells the defaults that follow, and warns where their bound is more") {
  const std::string ample = said(1 << 20, true);
  CHECK(has(ample, "default loader: 256 images of 224 x 224 a batch, 2 ahead; "));
  CHECK_FALSE(has(ample, "warning"));
  const std::string tight = said(128, true);
  CHECK(has(tight, "a batch, 1 ahead; 32 MiB of files ahead; "));
  CHECK(has(tight, "warning: that is more than is left"));
  CHECK(has(said(1 << 20, true, "65536"), "warning: that is more than is left"));
}

TEST_CASE("where no thread can be started every command says so, and doctor goes on") {
  const std::string interrupt = testing::in_child([]() -> std::string {
    testing::deny_threads();
    try {
      const Interrupt watched;
    } catch (const LoadError& error) {
      return error.error().message(flag_name);
    }
    return "started";
  });
  CHECK(interrupt ==
        "setup: Resource temporarily unavailable: no thread can be started; raise the limit on "
        "threads (ulimit -u, the container's pids) or on memory (ulimit -v)");
  const std::string found = testing::in_child([] {
    testing::deny_threads();
    const Finding ring = check_kernel()[1];
    return ring.subject + " " + ring.value + ": " + ring.advice;
  });
  CHECK(found.starts_with("io_uring not asked: Resource temporarily unavailable: no thread can"));
}

TEST_CASE("doctor tells the reader that loaders take, and warns where there is no such ring") {
  const auto reader = [](const char* asked) {
    return testing::in_child([&] {
      testing::deny(__NR_io_uring_setup, EPERM);
      *asked == 0 ? ::unsetenv("RINGFEED_READER") : ::setenv("RINGFEED_READER", asked, 1);
      const Finding finding = check_kernel().back();
      const char* const severity = finding.severity == Severity::warn ? " warning: " : " ";
      return finding.subject + severity + finding.value + ": " + finding.advice;
    });
  };
  CHECK(reader("") == "reader ring, or pool where io_uring is refused: ");
  CHECK(reader("pool") == "reader pool: $RINGFEED_READER: ");
  CHECK(reader("ring").starts_with(
      "reader warning: RINGFEED_READER=ring, and io_uring is refused: "));
  CHECK(reader("ring").ends_with(": unset it: loaders then take the pool"));
}

}  // namespace
}  // namespace ringfeed::cli
