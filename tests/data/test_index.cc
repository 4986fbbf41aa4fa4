#include <doctest/doctest.h>
#include <xxhash.h>

#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/index.h"
#include "data/tree.h"

namespace {

using ringfeed::data::Bytes;
using ringfeed::data::Index;
using ringfeed::data::IndexBuilder;

IndexBuilder small_index() {
  IndexBuilder builder;
  builder.add_class("cat");
  builder.add_class("dog");
  builder.add_class("empty");
  builder.add_directory(builder.add_prefix("cat/"), 0);
  builder.add_entry("1.jpg");
  builder.add_entry("fifo.jpg", false);
  builder.add_directory(builder.add_prefix("cat/none/"), 0);
  builder.add_directory(builder.add_prefix("dog/deep/down/"), 1);
  builder.add_entry("2.jpg");
  builder.add_directory(builder.add_prefix("empty/"), 2);
  return builder;
}

Bytes copy_of(std::span<const std::byte> bytes) {
  Bytes copy = Bytes::uninitialised(bytes.size());
  std::memcpy(copy.data.get(), bytes.data(), bytes.size());
  return copy;
}

}  // namespace

TEST_CASE("an index gives back what was built, in order") {
  const auto index = Index::adopt("/root", small_index().finish());
  REQUIRE(index.has_value());
  CHECK(index->size() == 3);
  CHECK(ringfeed::testing::relative_paths(*index) ==
        std::vector<std::string>{"cat/1.jpg", "cat/fifo.jpg", "dog/deep/down/2.jpg"});
  CHECK(index->label(0) == 0);
  CHECK(index->label(1) == 0);
  CHECK(index->label(2) == 1);
  CHECK(index->why_not_openable(0) == nullptr);
  CHECK(std::string_view(index->why_not_openable(1)).starts_with("a FIFO"));
  CHECK(index->why_not_openable(2) == nullptr);
  CHECK(index->path(2) == "/root/dog/deep/down/2.jpg");
  CHECK(index->empty_classes() == std::vector<std::string>{"empty"});
}

TEST_CASE("a path joins the root as os.path.join does") {
  CHECK(Index::adopt("data/", small_index().finish())->path(0) == "data/cat/1.jpg");
  CHECK(Index::adopt("/", small_index().finish())->path(0) == "/cat/1.jpg");
  CHECK(Index::adopt(".", small_index().finish())->path(0) == "./cat/1.jpg");
}

TEST_CASE("a relative path reuses the capacity it is given") {
  const auto index = Index::adopt("/root", small_index().finish());
  std::string out(200, 'x');
  const char* before = out.data();
  index->relative_path(2, out);
  CHECK(out.data() == before);
  CHECK(std::strlen(out.c_str()) == out.size());
}

TEST_CASE("the fingerprint is XXH3 over classes and names, the root left out") {
  using namespace std::string_literals;
  const std::string hashed =
      "cat\0dog\0empty\0\0cat/\0001.jpg\0fifo.jpg\0dog/deep/down/\0002.jpg\0"s;
  const auto index = Index::adopt("/root", small_index().finish());
  CHECK(index->fingerprint() == XXH3_64bits(hashed.data(), hashed.size()));
  CHECK(Index::adopt("/elsewhere", small_index().finish())->fingerprint() == index->fingerprint());

  IndexBuilder more = small_index();
  more.add_entry("3.jpg");
  CHECK(Index::adopt("/root", more.finish())->fingerprint() != index->fingerprint());
}

TEST_CASE("an index of nothing is sound") {
  const auto index = Index::adopt("/root", IndexBuilder().finish());
  REQUIRE(index.has_value());
  CHECK(index->size() == 0);
  CHECK(index->classes().empty());
  CHECK(index->empty_classes().empty());
}

TEST_CASE("bytes that are no index are refused or at least never read out of bounds") {
  const Bytes sound = small_index().finish();
  for (std::size_t size = 0; size < sound.size; ++size) {
    CHECK_FALSE(Index::adopt("/root", copy_of(sound.view().first(size))).has_value());
  }
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 20'000; ++round) {
    Bytes damaged = copy_of(sound.view());
    for (unsigned i = 0; i <= random() % 3; ++i) {
      damaged.data[random() % damaged.size] = static_cast<std::byte>(random());
    }
    const auto index = Index::adopt("/root", std::move(damaged));
    if (!index) continue;
    std::string path;
    for (std::size_t e = 0; e < index->size(); ++e) {
      index->relative_path(e, path);
      REQUIRE(static_cast<std::size_t>(index->label(e)) < index->classes().size());
    }
    index->empty_classes();
  }
}

TEST_CASE("ImageNet's index takes less than 120 MB") {
  IndexBuilder builder;
  for (std::uint32_t c = 0; c < 1000; ++c) {
    std::string name = "n";
    name += std::to_string(10'000'000 + c);
    builder.add_class(name);
    builder.add_directory(builder.add_prefix(name + '/'), c);
    for (int i = 0; i < (c < 167 ? 1282 : 1281); ++i) {
      builder.add_entry(name + "_" + std::to_string(10'000 + i) + ".JPEG");
    }
  }
  const auto index = Index::adopt("/root", builder.finish());
  CHECK(index->size() == 1'281'167);
  CHECK(index->memory_bytes() < 120'000'000);
  CHECK(index->label(index->size() - 1) == 999);
}
