#include <doctest/doctest.h>
#include <sys/fanotify.h>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>

#include "data/stalls.h"
#include "ringfeed/dataset.h"
#include "support/held_opens.h"
#include "support/temp_dir.h"

namespace ringfeed::data {
namespace {

using std::chrono::seconds;

TEST_CASE("a listing that does not answer is told of after 10 s, then when that has doubled") {
  Stalls stalls;
  const Stalls::Time start{};
  stalls.begin("a", start);
  stalls.begin("b", start + seconds(5));
  CHECK_FALSE(stalls.report(start + seconds(9)));
  CHECK(stalls.report(start + seconds(11)) ==
        std::optional<std::string>("no answer from the file system for 11 s for a"));
  CHECK_FALSE(stalls.report(start + seconds(19)));
  CHECK(stalls.report(start + seconds(20)) ==
        std::optional<std::string>("no answer from the file system for 20 s for a, b"));
  stalls.end("a");
  stalls.end("b");
  CHECK_FALSE(stalls.report(start + seconds(1000)));
}

TEST_CASE("of many listings that do not answer ten are named, and all are counted") {
  Stalls stalls;
  for (int i = 10; i < 35; ++i) stalls.begin(std::to_string(i), {});
  const auto said = stalls.report(Stalls::Time{} + seconds(10));
  REQUIRE(said);
  CHECK(said->ends_with("10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 15 more"));
}

TEST_CASE("what the caller throws ends a scan whose listing hangs") {
  const testing::TempDir dir;
  dir.write("train/a/1.jpg", "");
  dir.write("train/b/1.jpg", "");
  const testing::HeldOpens opens(dir / "train/a", FAN_ONDIR);
  if (!opens.works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  ScanOptions options;
  options.use_cache = false;
  options.while_waiting = [] { throw std::runtime_error("enough"); };
  CHECK_THROWS_WITH_AS(ImageFolder::open(dir / "train", options), "enough", std::runtime_error);
}

}  // namespace
}  // namespace ringfeed::data
