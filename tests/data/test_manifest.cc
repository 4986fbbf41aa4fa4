#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/file_descriptor.h"
#include "data/manifest.h"
#include "data/tree.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using namespace ringfeed::testing;
using ringfeed::ScanOptions;
using ringfeed::data::cache_directory;
using ringfeed::data::Index;
using ringfeed::data::manifest_file;
using ringfeed::data::open_index;

/// A small tree long unchanged, and a place for its manifest.
struct Fixture {
  TempDir root, cache;

  Fixture() {
    for (const char* file : {"cat/1.jpg", "cat/deep/2.jpg", "dog/3.jpg"}) make_file(root / file);
    for (const char* directory : {"", "cat", "cat/deep", "dog"}) date_back(root / directory);
  }
  std::shared_ptr<const Index> open() const {
    return open_index(root.path(), with_cache(cache.path()), later);
  }
  fs::path manifest() const {
    return manifest_file(cache.path(), fs::canonical(root.path()).string());
  }
};

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// The tree is listed once more, as a scan without a manifest lists it, and the next start loads.
void check_rescanned(const Fixture& fixture, std::size_t warnings) {
  const auto index = fixture.open();
  CHECK_FALSE(index->report().from_cache);
  CHECK(index->report().warnings.size() == warnings);
  const auto fresh = open_index(fixture.root.path(), without_cache(), later);
  CHECK(relative_paths(*index) == relative_paths(*fresh));
  const auto again = fixture.open();
  CHECK(again->report().from_cache);
  CHECK(relative_paths(*again) == relative_paths(*fresh));
}

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value == nullptr ? unsetenv(name) : setenv(name, value, 1);
  }
  ~Environment() { before_ ? setenv(name_, before_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("a second start lists nothing and knows the same") {
  const Fixture fixture;
  const auto first = fixture.open();
  CHECK_FALSE(first->report().from_cache);
  CHECK(first->report().directories_listed == 4);
  CHECK(first->report().warnings.empty());
  const auto second = fixture.open();
  CHECK(second->report().from_cache);
  CHECK(second->report().directories_listed == 0);
  CHECK(second->report().warnings.empty());
  CHECK(relative_paths(*second) == relative_paths(*first));
  CHECK(second->fingerprint() == first->fingerprint());
  CHECK(second->label(2) == 1);
}

TEST_CASE("a manifest serves every name of the same root, each index keeping its own") {
  const Fixture fixture;
  fixture.open();
  const TempDir elsewhere;
  fs::create_symlink(fixture.root.path(), elsewhere / "link");
  const auto index = open_index(elsewhere / "link", with_cache(fixture.cache.path()), later);
  CHECK(index->report().from_cache);
  CHECK(index->path(0) == (elsewhere / "link/cat/1.jpg").string());
}

TEST_CASE("any change of a directory makes the manifest stale, which is no reason to warn") {
  const Fixture fixture;
  fixture.open();
  SUBCASE("a new image") { make_file(fixture.root / "cat/9.jpg"); }
  SUBCASE("a new image below a class") { make_file(fixture.root / "cat/deep/9.jpg"); }
  SUBCASE("an image gone") { fs::remove(fixture.root / "cat/deep/2.jpg"); }
  SUBCASE("a new class") { make_file(fixture.root / "emu/9.jpg"); }
  SUBCASE("a class gone") { fs::remove_all(fixture.root / "dog"); }
  SUBCASE("a time set back, which only ctime shows") {
    make_file(fixture.root / "cat/9.jpg");
    date_back(fixture.root / "cat");
  }
  check_rescanned(fixture, 0);
}

TEST_CASE("a linked class is keyed by the directory it leads to") {
  const Fixture fixture;
  const TempDir elsewhere;
  make_file(elsewhere / "one/1.jpg");
  make_file(elsewhere / "two/2.jpg");
  fs::create_symlink(elsewhere / "one", fixture.root / "linked");
  for (const auto& path : {fixture.root.path(), elsewhere / "one", elsewhere / "two"}) {
    date_back(path);
  }
  fixture.open();
  REQUIRE(fixture.open()->report().from_cache);
  SUBCASE("the directory changes") { make_file(elsewhere / "one/9.jpg"); }
  SUBCASE("another stands in its place") {
    fs::rename(elsewhere / "one", elsewhere / "old");
    fs::rename(elsewhere / "two", elsewhere / "one");
  }
  check_rescanned(fixture, 0);
}

TEST_CASE("a link to nothing is watched: its target may appear") {
  const Fixture fixture;
  const TempDir elsewhere;
  fs::create_symlink(elsewhere / "class", fixture.root / "linked");
  fs::create_symlink(elsewhere / "sub", fixture.root / "cat/linked");
  date_back(fixture.root.path());
  date_back(fixture.root / "cat");
  fixture.open();
  REQUIRE(fixture.open()->report().from_cache);
  SUBCASE("a class") { make_file(elsewhere / "class/9.jpg"); }
  SUBCASE("a directory in a class") { make_file(elsewhere / "sub/9.jpg"); }
  check_rescanned(fixture, 0);
}

TEST_CASE("a tree changed within two seconds of its listing is not kept") {
  const Fixture fixture;
  make_file(fixture.root / "cat/9.jpg");
  const auto index = open_index(fixture.root.path(), with_cache(fixture.cache.path()), just_now);
  CHECK(index->size() == 4);
  CHECK(index->report().warnings.empty());
  CHECK_FALSE(fs::exists(fixture.manifest()));
}

TEST_CASE("damage anywhere in a manifest is noticed, told and repaired") {
  const Fixture fixture;
  fixture.open();
  const std::string sound = read_file(fixture.manifest());
  REQUIRE(sound.size() > 56);
  for (std::size_t at = 0; at < sound.size(); ++at) {
    std::string damaged = sound;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    make_file(fixture.manifest(), damaged);
    const auto index = fixture.open();
    CAPTURE(at);
    REQUIRE_FALSE(index->report().from_cache);
    REQUIRE(index->report().warnings.size() == 1);
    REQUIRE(read_file(fixture.manifest()) == sound);
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{20}, sound.size() - 1}) {
    make_file(fixture.manifest(), sound.substr(0, size));
    check_rescanned(fixture, 1);
  }
  make_file(fixture.manifest(), sound + "x");
  check_rescanned(fixture, 1);
}

TEST_CASE("a manifest that another user could have written is not used") {
  const Fixture fixture;
  fixture.open();
  SUBCASE("writable by others") { fs::permissions(fixture.manifest(), fs::perms(0666)); }
  SUBCASE("another's") {
    // Only root can give a file away.
    if (chown(fixture.manifest().c_str(), geteuid() + 1, getegid()) != 0) return;
  }
  check_rescanned(fixture, 1);
}

TEST_CASE("a manifest of another root behind the same file name is not used") {
  const Fixture fixture, other;
  fixture.open();
  other.open();
  fs::copy_file(other.manifest(), fixture.manifest(), fs::copy_options::overwrite_existing);
  check_rescanned(fixture, 1);
}

TEST_CASE("a cache directory that cannot be made is a warning") {
  const Fixture fixture;
  make_file(fixture.cache / "file");
  const auto index = open_index(fixture.root.path(), with_cache(fixture.cache / "file/x"), later);
  CHECK(index->size() == 3);
  REQUIRE(index->report().warnings.size() == 1);
  CHECK(index->report().warnings[0].find("file/x") != std::string::npos);
}

TEST_CASE("a manifest that cannot be written is a warning and leaves nothing behind") {
  const Fixture fixture;
  // A directory in its place: not even root renames a file over it.
  fs::create_directories(fixture.manifest() / "x");
  const auto index = fixture.open();
  CHECK(index->size() == 3);
  CHECK(index->report().warnings.size() == 2);  // it could be neither read nor written
  std::size_t left = 0;
  for (const auto& entry : fs::directory_iterator(fixture.cache.path())) {
    left += entry.path() != fixture.manifest() && entry.path().extension() != ".lock";
  }
  CHECK(left == 0);
}

TEST_CASE("a manifest may be read by whom the umask lets") {
  for (const mode_t mask : {0022u, 0077u}) {
    const Fixture fixture;
    const mode_t before = umask(mask);
    fixture.open();
    umask(before);
    CHECK((fs::status(fixture.manifest()).permissions() & fs::perms::mask) ==
          fs::perms(0644 & ~mask));
  }
}

TEST_CASE("a lock that is never released is waited for to a limit, and named") {
  const Fixture fixture;
  const std::string name = fixture.manifest().string() + ".lock";
  const ringfeed::FileDescriptor lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(flock(lock.get(), LOCK_EX) == 0);
  const auto index = open_index(fixture.root.path(), with_cache(fixture.cache.path()), later,
                                std::chrono::milliseconds(30));
  CHECK(index->size() == 3);
  REQUIRE(index->report().warnings.size() == 1);
  CHECK(index->report().warnings[0].find(name) != std::string::npos);
  CHECK(fixture.open()->report().from_cache);  // what it listed was kept all the same
}

TEST_CASE("the wait for another process's lock can be broken off") {
  const Fixture fixture;
  const std::string name = fixture.manifest().string() + ".lock";
  const ringfeed::FileDescriptor lock(open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  REQUIRE(flock(lock.get(), LOCK_EX) == 0);
  ScanOptions options = with_cache(fixture.cache.path());
  int asked = 0;
  options.while_waiting = [&] {
    if (++asked == 3) throw std::runtime_error("enough");
  };
  CHECK_THROWS_WITH_AS(open_index(fixture.root.path(), options, later), "enough",
                       std::runtime_error);
  CHECK_FALSE(fs::exists(fixture.manifest()));
}

TEST_CASE("empty classes are judged anew at each start from a manifest") {
  const Fixture fixture;
  fs::create_directories(fixture.root / "empty");
  ScanOptions strict = with_cache(fixture.cache.path()), lenient = strict;
  lenient.allow_empty = true;
  CHECK(scan_error(fixture.root.path(), strict).find("empty") != std::string::npos);
  const auto index = open_index(fixture.root.path(), lenient, later);
  CHECK(index->report().from_cache);
  CHECK(index->classes().size() == 3);
  CHECK(scan_error(fixture.root.path(), strict).find("empty") != std::string::npos);
}

TEST_CASE("without the cache nothing is written") {
  const Fixture fixture;
  const Environment own("RINGFEED_CACHE_DIR", fixture.cache.path().c_str());
  open_index(fixture.root.path(), without_cache(), later);
  CHECK(fs::is_empty(fixture.cache.path()));
}

TEST_CASE("the cache directory is the option's, then each variable's in turn") {
  const Environment own("RINGFEED_CACHE_DIR", "/own"), xdg("XDG_CACHE_HOME", "/xdg"),
      home("HOME", "/home/me");
  CHECK(cache_directory(with_cache("/option")) == "/option");
  CHECK(cache_directory({}) == "/own");
  const Environment no_own("RINGFEED_CACHE_DIR", nullptr);
  CHECK(cache_directory({}) == "/xdg/ringfeed");
  const Environment relative_xdg("XDG_CACHE_HOME", "relative");
  CHECK(cache_directory({}) == "/home/me/.cache/ringfeed");
  const Environment no_home("HOME", nullptr);
  CHECK(cache_directory({}) == "");
}

TEST_CASE("starts racing with each other and with damage all know the tree") {
  const Fixture fixture;
  fixture.open();
  const std::string sound = read_file(fixture.manifest());
  std::atomic<int> wrong = 0, running = 4;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 25; ++i) wrong += fixture.open()->size() != 3;
      --running;
    });
  }
  for (std::size_t at = 0; running > 0; ++at) {
    std::string damaged = sound;
    damaged[at % sound.size()] ^= 1;
    make_file(fixture.manifest(), damaged);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("of processes starting at once one scans and the others load what it wrote") {
  const Fixture fixture;
  constexpr int processes = 8;
  std::array<int, 2> gate{};
  REQUIRE(pipe(gate.data()) == 0);
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      close(gate[1]);
      char byte;
      if (read(gate[0], &byte, 1) != 0) _exit(99);  // held until the parent closes its end
      const auto index = fixture.open();
      _exit(index->size() != 3 ? 99 : index->report().from_cache ? 0 : 1);
    }
    children.push_back(child);
  }
  close(gate[0]);
  close(gate[1]);
  int scanned = 0;
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    REQUIRE(WIFEXITED(status));
    REQUIRE(WEXITSTATUS(status) <= 1);
    scanned += WEXITSTATUS(status);
  }
  CHECK(scanned == 1);
}
