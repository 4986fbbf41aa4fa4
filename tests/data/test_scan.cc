#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/tree.h"
#include "ringfeed/dataset.h"
#include "support/temp_dir.h"

namespace {

namespace fs = std::filesystem;
using namespace ringfeed::testing;
using ringfeed::ImageFolder;
using ringfeed::data::open_index;

struct Expected {
  const char* path;
  int label;
};

#include "image_folder.inc"

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

/// `item` as make_golden.py writes it.
void make(const fs::path& root, std::string_view item) {
  const std::size_t arrow = item.find(" -> ");
  if (arrow == item.npos) return make_file(root / item);
  const fs::path link = root / item.substr(0, arrow);
  fs::create_directories(link.parent_path());
  fs::create_symlink(item.substr(arrow + 4), link);
}

}  // namespace

TEST_CASE("classes and samples are torchvision's, in its order") {
  const TempDir root;
  for (const char* item : tree) make(root.path(), item);
  for (const int threads : {0, 1, 3}) {
    CAPTURE(threads);
    ringfeed::ScanOptions options = without_cache();
    options.threads = threads;
    const ImageFolder folder = ImageFolder::open(root.path(), options);
    CHECK(std::vector<std::string>(folder.classes().begin(), folder.classes().end()) ==
          std::vector<std::string>(std::begin(classes), std::end(classes)));
    REQUIRE(folder.size() == std::size(samples));
    for (std::size_t i = 0; i < folder.size(); ++i) {
      CHECK(folder.path(i) == root.path().string() + "/" + samples[i].path);
      CHECK(folder.label(i) == samples[i].label);
      CHECK(folder.index().why_not_openable(i) == nullptr);
    }
  }
}

TEST_CASE("the fingerprint is the same wherever the tree stands") {
  const TempDir here, there;
  for (const char* item : tree) {
    make(here.path(), item);
    make(there.path(), item);
  }
  const auto a = ImageFolder::open(here.path(), without_cache());
  CHECK(a.fingerprint() == ImageFolder::open(there.path(), without_cache()).fingerprint());
  fs::rename(there / "b/1.JPEG", there / "b/3.JPEG");
  CHECK(a.fingerprint() != ImageFolder::open(there.path(), without_cache()).fingerprint());
}

TEST_CASE("a missing root, and a file in its place, say what was looked for") {
  const TempDir dir;
  const std::string missing = scan_error(dir / "train");
  CHECK(contains(missing, (dir / "train").string()));
  CHECK(contains(missing, "No such file or directory"));
  CHECK(contains(missing, "one folder of images per class"));
  make_file(dir / "file");
  CHECK(contains(scan_error(dir / "file"), "Not a directory"));
}

TEST_CASE("a root without class folders is an error") {
  const TempDir root;
  make_file(root / "1.jpg");
  CHECK(contains(scan_error(root.path()), "no class folder"));
}

TEST_CASE("a root whose classes are named as the parts of a dataset is warned of") {
  const TempDir root;
  const auto warnings = [&] {
    return ImageFolder::open(root.path(), without_cache()).report().warnings;
  };
  make_file(root / "val/cat/1.jpg");
  make_file(root / "train/cat/1.jpg");
  REQUIRE(warnings().size() == 1);
  CHECK(contains(warnings()[0], " has the folders train, val, which are taken for classes"));
  CHECK(contains(warnings()[0], "such as " + root.path().string() + "/train"));
  make_file(root / "cat/1.jpg");
  CHECK(warnings().empty());
}

TEST_CASE("classes without images are errors by name unless allowed") {
  const TempDir root;
  make_file(root / "cat/1.jpg");
  make_file(root / "dog/readme.txt");
  fs::create_directories(root / "emu/deep/down");
  CHECK(contains(scan_error(root.path()), "dog, emu"));

  ringfeed::ScanOptions options = without_cache();
  options.allow_empty = true;
  const auto folder = ImageFolder::open(root.path(), options);
  CHECK(folder.size() == 1);
  CHECK(folder.classes().size() == 3);
}

TEST_CASE("what is no regular file keeps its place and is marked") {
  const TempDir root;
  make_file(root / "c/1.jpg");
  make_file(root / "c/5.jpg");
  REQUIRE(mkfifo((root / "c/2.jpg").c_str(), 0600) == 0);
  fs::create_symlink("2.jpg", root / "c/3.jpg");
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = (root / "c/4.jpg").string();
  REQUIRE(name.size() < sizeof(address.sun_path));
  name.copy(address.sun_path, name.size());
  REQUIRE(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  close(fd);

  const auto index = open_index(root.path(), without_cache(), later);
  REQUIRE(index->size() == 5);
  std::vector<bool> regular;
  for (std::size_t i = 0; i < 5; ++i) regular.push_back(index->why_not_openable(i) == nullptr);
  CHECK(regular == std::vector<bool>{true, false, false, false, true});
}

TEST_CASE("links that loop are errors by name") {
  const TempDir root;
  make_file(root / "c/sub/1.jpg");
  SUBCASE("to the root") {
    fs::create_symlink("../..", root / "c/sub/loop");
    CHECK(contains(scan_error(root.path()), "c/sub/loop"));
  }
  SUBCASE("to a directory above") {
    fs::create_symlink("..", root / "c/sub/loop");
    CHECK(contains(scan_error(root.path()), "c/sub/loop"));
  }
  SUBCASE("to themselves") {
    fs::create_symlink("self", root / "c/self");
    const std::string error = scan_error(root.path());
    CHECK(contains(error, "c/self"));
    CHECK(contains(error, "leads to itself"));
  }
}

TEST_CASE("two ways to one directory that are no loop give its images twice") {
  const TempDir root;
  make_file(root / "a/1.jpg");
  fs::create_symlink("a", root / "b");
  fs::create_symlink("../a", root / "b-real");
  CHECK(relative_paths(*open_index(root.path(), without_cache(), later)) ==
        std::vector<std::string>{"a/1.jpg", "b/1.jpg"});
}

TEST_CASE("a directory that cannot be listed is an error by name") {
  // Root may list anything, so a path too long for the kernel stands in for a forbidden one.
  const TempDir root;
  make_file(root / "c/1.jpg");
  const std::string part(250, 'd');
  int fd = open((root / "c").c_str(), O_RDONLY | O_DIRECTORY);
  for (int depth = 0; depth < 17; ++depth) {
    REQUIRE(mkdirat(fd, part.c_str(), 0700) == 0);
    const int below = openat(fd, part.c_str(), O_RDONLY | O_DIRECTORY);
    close(fd);
    fd = below;
  }
  close(fd);
  const std::string error = scan_error(root.path());
  CHECK(contains(error, "cannot list this directory"));
  CHECK(contains(error, "c/" + part));
}

TEST_CASE("a deep and wide tree is listed whole on many threads") {
  const TempDir root;
  std::vector<std::string> expected;
  for (int c = 0; c < 3; ++c) {
    for (int s = 0; s < 20; ++s) {
      for (int i = 0; i < 5; ++i) {
        expected.push_back(std::to_string(c) + "/" + std::to_string(s) + "/x/" + std::to_string(i) +
                           ".png");
        make_file(root / expected.back());
      }
    }
  }
  std::sort(expected.begin(), expected.end());
  const auto index = open_index(root.path(), without_cache(), later);
  CHECK(relative_paths(*index) == expected);
  CHECK(index->report().directories_listed == 1 + 3 + 3 * 20 * 2);
  CHECK_FALSE(index->report().from_cache);
}
