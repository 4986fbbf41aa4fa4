#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/index.h"
#include "data/tree.h"
#include "ringfeed/dataset.h"
#include "support/temp_dir.h"

using namespace ringfeed;
using Strings = std::vector<std::string>;
using Labels = std::vector<std::int64_t>;

namespace {

ImageFolder from(const std::string& root, const Strings& paths) {
  return ImageFolder::from_samples(root, {}, paths, Labels(paths.size()));
}

Strings paths_of(const ImageFolder& folder) {
  Strings paths;
  for (std::size_t i = 0; i < folder.size(); ++i) paths.push_back(folder.path(i));
  return paths;
}

Labels labels_of(const ImageFolder& folder) {
  Labels labels;
  for (std::size_t i = 0; i < folder.size(); ++i) labels.push_back(folder.label(i));
  return labels;
}

ImageFolder again(const ImageFolder& folder) {
  return ImageFolder::from_samples(folder.root(), folder.classes(), paths_of(folder),
                                   labels_of(folder));
}

std::string refusal(const std::string& root, const Strings& classes, const Strings& paths,
                    const Labels& labels) {
  try {
    ImageFolder::from_samples(root, classes, paths, labels);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

/// What opening `relative` below `root` opens, written without looking at links.
std::string opened(const std::string& root, const std::string& relative) {
  if (relative.starts_with('/') || root.empty()) return relative;
  return root + "/" + relative;
}

std::string squeezed(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c != '/' || !out.ends_with('/')) out += c;
  }
  return out;
}

}  // namespace

TEST_CASE("paths come back as they were given, whatever their form and the root") {
  const Strings odd{
      "/d/a.jpg",   "/d/a.jpg",    "/d/x/../b.jpg", "d/a.jpg",   "./d/a.jpg", "a.jpg", "../a.jpg",
      "//d//a.jpg", "/d//a.jpg",   "d/a.jpg/",      "/",         "//",        "/d",    "/d/",
      "/a.jpg",     "/d\xff/\xfe", "/data/a.jpg",   "/dd/a.jpg", "d/\n.jpg",  "/d/x/"};
  const Strings roots{"", "/", "/d", "/d/", "/d//", "d", ".", "./", "..", "/da", "d/a.jpg", "//"};
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Strings paths;
    for (std::size_t n = random() % 5; paths.size() <= n;) {
      paths.push_back(odd[random() % odd.size()]);
    }
    const std::string root = roots[random() % roots.size()];
    const ImageFolder folder = from(root, paths);
    CAPTURE(root);
    CAPTURE(folder.root());
    REQUIRE(paths_of(folder) == paths);
    std::string relative;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      folder.index().relative_path(i, relative);
      REQUIRE_FALSE(relative.empty());
      REQUIRE(squeezed(opened(folder.root(), relative)) == squeezed(paths[i]));
    }
  }
}

TEST_CASE("the root is kept where every path begins with it, else the common folder takes over") {
  CHECK(from("/d", {"/d/x/a", "/d/x/b"}).root() == "/d");
  CHECK(from("/d/", {"/d/x/a", "/d/x/b"}).root() == "/d/");
  CHECK(from("/", {"/d/x/a"}).root() == "/");
  CHECK(from("/d", {}).root() == "/d");
  CHECK(from("", {}).root() == "");
  CHECK(from("", {"/d/x/a", "/d/xy/b"}).root() == "/d");  // whole components alone
  CHECK(from("", {"/d/x/a", "/d/x/b"}).root() == "/d/x");
  CHECK(from("", {"/a", "/d/b"}).root() == "/");
  CHECK(from("", {"d/a", "e/b"}).root() == "");
  CHECK(from("", {"d/a", "/d/b"}).root() == "");
  CHECK(from("", {"a"}).root() == "");
  CHECK(from("", {"../x/a", "../y/b"}).root() == "..");
  CHECK(from("/d", {"/d/a", "/e/b"}).root() == "/");
  CHECK(from("/data", {"/data2/a", "/data2/b"}).root() == "/data2");
  CHECK(from("/d", {"x/a", "x/b"}).root() == "x");
  CHECK(from("/d", {"/d//a", "/d/b"}).root() == "/");  // "/a" below /d would be another file
}

TEST_CASE("a folder's own samples make the folder's fingerprint") {
  testing::TempDir tree;
  for (const char* name : {"cat/1.jpg", "cat/2.png", "cat/sub/3.jpg", "cat-a/4.jpg", "cat/a/5.jpg",
                           "dog/deep/down/6.JPEG", "dog/7.webp", "dog/no.txt"}) {
    tree.write(name, "");
  }
  std::filesystem::create_directory(tree / "empty");
  std::filesystem::create_directory_symlink(tree / "cat/sub", tree / "dog/linked");
  std::filesystem::create_directory_symlink(tree / "cat", tree / "zebra");
  std::filesystem::create_symlink(tree / "cat/1.jpg", tree / "dog/link.jpg");
  ScanOptions options = testing::without_cache();
  options.allow_empty = true;
  for (const char* end : {"", "/", "//"}) {
    const auto opened = ImageFolder::open(tree.path().string() + end, options);
    REQUIRE(opened.size() == 13);
    const auto listed = again(opened);
    CHECK(listed.fingerprint() == opened.fingerprint());
    CHECK(listed.root() == opened.root());
    CHECK(std::ranges::equal(listed.classes(), opened.classes()));
    CHECK(paths_of(listed) == paths_of(opened));
    CHECK(labels_of(listed) == labels_of(opened));
    CHECK(std::ranges::equal(listed.index().packed(), opened.index().packed()));
  }
}

TEST_CASE("labels are any numbers where there are no classes, and the fingerprint tells them") {
  const Labels labels{
      0, -1, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max(),
      7, 7};
  const Strings paths{"a", "a", "a", "b", "c", "d"};
  const auto folder = ImageFolder::from_samples("", {}, paths, labels);
  CHECK(labels_of(folder) == labels);
  CHECK(paths_of(folder) == paths);
  CHECK(folder.classes().empty());
  auto other = labels;
  other[5] = 8;
  CHECK(ImageFolder::from_samples("", {}, paths, other).fingerprint() != folder.fingerprint());
  CHECK(from("", {"a", "b"}).fingerprint() != from("", {"b", "a"}).fingerprint());

  // Under a class's name and yet of the other class.
  const Strings classes{"cat", "dog"}, cats{"/d/cat/1", "/d/cat/2"};
  const auto right = ImageFolder::from_samples("/d", classes, cats, Labels{0, 0});
  const auto wrong = ImageFolder::from_samples("/d", classes, cats, Labels{0, 1});
  CHECK(right.fingerprint() != wrong.fingerprint());
  CHECK(labels_of(wrong) == Labels{0, 1});
}

TEST_CASE("lists that make no sense are refused by what is wrong") {
  using namespace std::string_literals;
  const Strings classes{"cat", "dog"};
  CHECK(refusal("", {}, {"a", "b"}, {0}).find("2 paths, but 1 labels") != std::string::npos);
  CHECK(refusal("", {}, {"a", ""}, {0, 0}).find("path 1 is empty") != std::string::npos);
  CHECK(refusal("", {}, {"a", "b\0c"s}, {0, 0}).find("path 1 holds a NUL") != std::string::npos);
  CHECK(refusal("r\0"s, {}, {"a"}, {0}).find("root holds a NUL") != std::string::npos);
  CHECK(refusal("", {"c\0"s}, {"a"}, {0}).find("class holds a NUL") != std::string::npos);
  for (const std::int64_t label : {std::int64_t{-1}, std::int64_t{2}, std::int64_t{1} << 40}) {
    CHECK(refusal("", classes, {"a"}, {label}).find(std::to_string(label)) != std::string::npos);
  }
  CHECK(refusal("", classes, {"a", "b"}, {1, 0}) == "");
}

TEST_CASE("a shuffled list of ImageNet's size takes less than 64 bytes an entry") {
  Strings paths;
  Labels labels;
  for (int c = 0; c < 1000; ++c) {
    const std::string name = "n" + std::to_string(10'000'000 + c);
    for (int i = 0; i < 1280; ++i) {
      paths.push_back("/data/train/" + name + "/" + name + "_" + std::to_string(10'000 + i) +
                      ".JPEG");
      labels.push_back(c);
    }
  }
  std::vector<std::uint32_t> order(paths.size());
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937(1));
  Strings shuffled;
  Labels their;
  for (const std::uint32_t at : order) {
    shuffled.push_back(paths[at]);
    their.push_back(labels[at]);
  }
  const auto folder = ImageFolder::from_samples("", {}, shuffled, their);
  MESSAGE("bytes of the index: " << folder.memory_bytes());
  CHECK(folder.memory_bytes() < 64 * folder.size());
  CHECK(folder.root() == "/data/train");
  bool equal = true;
  for (std::size_t i = 0; i < folder.size(); i += 97) {
    equal = equal && folder.path(i) == shuffled[i] && folder.label(i) == their[i];
  }
  CHECK(equal);
}
