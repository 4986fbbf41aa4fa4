#include <doctest/doctest.h>
#include <fcntl.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/file_descriptor.h"
#include "data/time_trust.h"
#include "data/tree.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using namespace ringfeed::testing;
using namespace ringfeed::data;
using ringfeed::ScanOptions;

constexpr std::int64_t one_second = 1'000'000'000, now = 1'700'000'000 * one_second;

Stamp stamp(std::int64_t mtime, std::int64_t ctime, std::uint64_t inode = 1) {
  Stamp made;
  made.inode = inode;
  made.mtime_ns = mtime;
  made.ctime_ns = ctime;
  return made;
}

/// When all that a test has made lies in the future.
std::int64_t long_ago() { return 1'000'000'000 * one_second; }

}  // namespace

TEST_CASE("the times of FUSE tell nothing, those of other file systems do") {
  CHECK_FALSE(times_tell(0x65735546));
  for (const unsigned long magic : {0xEF53ul, 0x58465342ul, 0x01021994ul, 0x6969ul, 0x0BD00BD0ul}) {
    CHECK(times_tell(magic));
  }
}

TEST_CASE("times that tell when a folder changes") {
  CHECK(why_times_tell_nothing({}, now).empty());
  CHECK(why_times_tell_nothing({stamp(now, now)}, now).empty());
  const std::int64_t then = 1'000'000'000 * one_second;
  // As an archive unpacked gives them: one mtime, but each its own ctime.
  CHECK(why_times_tell_nothing({stamp(then, now - 1), stamp(then, now - 2)}, now).empty());
  // Made within one tick of the clock, or within one second of a coarse one.
  CHECK(
      why_times_tell_nothing({stamp(then + 4, then + 4), stamp(then + 4, then + 4)}, now).empty());
  CHECK(why_times_tell_nothing({stamp(then, then), stamp(then + one_second, then)}, now).empty());
  CHECK(why_times_tell_nothing({stamp(0, then), stamp(0, then + 1)}, now).empty());
  CHECK(why_times_tell_nothing({stamp(then, then), stamp(0, 0, 0)}, now).empty());  // a dead link
}

TEST_CASE("times that tell nothing, each with its reason") {
  const std::int64_t then = 1'000'000'000 * one_second;
  CHECK(why_times_tell_nothing({stamp(then, then), stamp(then, then)}, now) ==
        "all folders have one and the same time");
  CHECK(why_times_tell_nothing({stamp(0, 0)}, now) == "a folder has no time");
  CHECK(why_times_tell_nothing({stamp(then, then), stamp(-5, -5)}, now) == "a folder has no time");
  CHECK(why_times_tell_nothing({stamp(now + 1, then)}, now) ==
        "a folder's time lies in the future");
  CHECK(why_times_tell_nothing({stamp(then, then), stamp(then, now + 1)}, now) ==
        "a folder's time lies in the future");
}

TEST_CASE("a device is asked once, and what cannot be asked is no reason to doubt") {
  const TempDir dir;
  const ringfeed::FileDescriptor root(open(dir.path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  TrustedDevices devices(root.get());
  CHECK(devices.tell(7, ""));
  CHECK(devices.tell(7, "not there"));
  CHECK(devices.tell(8, "not there"));
}

TEST_CASE("where times tell nothing a folder is listed at every start, and the report says why") {
  const TempDir root, cache;
  make_file(root / "cat/1.jpg");
  const ScanOptions options = with_cache(cache.path());
  const fs::path manifest = manifest_file(cache.path(), fs::canonical(root.path()).string());
  for (int i = 0; i < 2; ++i) {
    const auto index = open_index(root.path(), options, long_ago);
    CHECK_FALSE(index->report().from_cache);
    CHECK(index->report().directories_listed == 2);
    CHECK(index->report().times_tell_nothing == "a folder's time lies in the future");
    CHECK(index->report().manifest.empty());
    CHECK(index->report().warnings.empty());
    CHECK_FALSE(fs::exists(manifest));
  }
  SUBCASE("not even a manifest from when they told is believed") {
    const auto told = open_index(root.path(), options, later);
    CHECK(told->report().times_tell_nothing.empty());
    CHECK(told->report().manifest == manifest);
    const auto index = open_index(root.path(), options, long_ago);
    CHECK_FALSE(index->report().from_cache);
    CHECK(index->report().times_tell_nothing == "a folder's time lies in the future");
  }
  CHECK(why_not_kept(root.path(), long_ago()) == "a folder's time lies in the future");
  CHECK(why_not_kept(root.path(), later()).empty());
  CHECK(why_not_kept(root / "cat/1.jpg", later()).empty());
}

TEST_CASE("who insists has a manifest there too, as long as no time changes") {
  const TempDir root, cache;
  make_file(root / "cat/1.jpg");
  ScanOptions options = with_cache(cache.path());
  options.always_use_cache = true;
  const auto first = open_index(root.path(), options, long_ago);
  CHECK_FALSE(first->report().from_cache);
  CHECK(fs::exists(first->report().manifest));
  const auto second = open_index(root.path(), options, long_ago);
  CHECK(second->report().from_cache);
  CHECK(second->report().manifest == first->report().manifest);
  CHECK(second->report().times_tell_nothing == "a folder's time lies in the future");
  make_file(root / "cat/2.jpg");
  date_back(root / "cat");
  const auto third = open_index(root.path(), options, long_ago);
  CHECK_FALSE(third->report().from_cache);
  CHECK(third->size() == 2);
  fs::remove(third->report().manifest);
  CHECK_FALSE(open_index(root.path(), options, long_ago)->report().from_cache);
}
