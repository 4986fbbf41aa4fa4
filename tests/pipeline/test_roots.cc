// What a loader that is kept has of its root between epochs: nothing but the name.
#include <doctest/doctest.h>
#include <sys/mount.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "pipeline/loader_test.h"
#include "support/temp_dir.h"

using namespace ringfeed;
using namespace ringfeed::testing;

namespace {

/// A directory on which storage is mounted, and mounted anew.
class MountPoint {
 public:
  ~MountPoint() { ::umount2(path().c_str(), MNT_DETACH); }
  std::filesystem::path path() const { return directory_.path(); }
  /// With 40 small images, always of the same names.
  bool mount(unsigned seed) const {
    if (::mount("none", path().c_str(), "tmpfs", 0, nullptr) != 0) return false;
    for (unsigned i = 0; i < 40; ++i) {
      directory_.write("c/" + std::to_string(i) + ".jpg", make_jpeg(40, 30, seed + i));
    }
    return true;
  }
  /// Files are closed in the background: tried for 20 s.
  bool unmount() const {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (::umount(path().c_str()) != 0) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

 private:
  TempDir directory_;
};

Delivered read(Loader& loader) {
  Delivered delivered;
  collect(loader.epoch(0), delivered);
  return delivered;
}

}  // namespace

TEST_CASE("storage can be unmounted under a loader between epochs, and is found when it is back") {
  for (const ReaderKind reader : readers) {
    const MountPoint storage;
    if (!storage.mount(0)) {
      MESSAGE("SKIPPED, nothing can be mounted here");
      return;
    }
    Loader loader(open(storage.path()), small_plan(), small_options(reader));
    const Delivered before = read(loader);
    CHECK(before.size() == 40);
    REQUIRE(storage.unmount());
    REQUIRE(storage.mount(100));
    const Delivered after = read(loader);
    CHECK(after != before);
    Loader other(open(storage.path()), small_plan(), small_options(reader));
    CHECK(after == read(other));
  }
}

TEST_CASE("storage can be unmounted under a loader whose epoch was given up") {
  for (const ReaderKind reader : readers) {
    const MountPoint storage;
    if (!storage.mount(0)) {
      MESSAGE("SKIPPED, nothing can be mounted here");
      return;
    }
    Loader loader(open(storage.path()), small_plan(), small_options(reader));
    CHECK(loader.epoch(0).next());
    CHECK(storage.unmount());
  }
}
