#include <doctest/doctest.h>

#include <vector>

#include "checksum.h"

using namespace ringfeed;
using namespace ringfeed::cli;

namespace {

/// Samples of one pixel whose content is their dataset index.
struct Pixels {
  std::vector<std::byte> bytes;
  Batch batch;

  explicit Pixels(const std::vector<std::uint64_t>& positions) {
    batch.views = {{.height = 1, .width = 1, .dtype = DType::uint8}};
    for (const std::uint64_t position : positions) {
      const auto index = static_cast<std::uint32_t>(position % 10);
      bytes.insert(bytes.end(), 3, static_cast<std::byte>(index));
      batch.positions.push_back(position);
      batch.indices.push_back(index);
      batch.labels.push_back(index / 2);
    }
    batch.memory.data = bytes.data();
    batch.memory.bytes = bytes.size();
  }

  std::uint64_t checksum(std::uint64_t epoch = 0) const {
    return batch_checksum(batch, epoch, /*positions=*/10);
  }
};

}  // namespace

TEST_CASE("ranks' checksums add up to the whole, in any order and split") {
  const std::uint64_t whole = Pixels({0, 1, 2, 3, 4, 5}).checksum();
  CHECK(Pixels({5, 0, 2}).checksum() + Pixels({1}).checksum() + Pixels({4, 3}).checksum() == whole);
}

TEST_CASE("padded positions do not count") {
  CHECK(Pixels({8, 9, 10, 11}).checksum() == Pixels({8, 9}).checksum());
  CHECK(Pixels({10}).checksum() == 0);
}

TEST_CASE("every part of a sample's identity shows in its checksum") {
  const std::byte pixel[3]{};
  const std::byte other[3]{std::byte{0}, std::byte{0}, std::byte{1}};
  const std::uint64_t sum = sample_checksum(pixel, 0, 1, 2, 3, 4);
  CHECK(sample_checksum(other, 0, 1, 2, 3, 4) != sum);
  CHECK(sample_checksum(pixel, 9, 1, 2, 3, 4) != sum);
  CHECK(sample_checksum(pixel, 0, 9, 2, 3, 4) != sum);
  CHECK(sample_checksum(pixel, 0, 1, 9, 3, 4) != sum);
  CHECK(sample_checksum(pixel, 0, 1, 2, 9, 4) != sum);
  CHECK(sample_checksum(pixel, 0, 1, 2, 3, 9) != sum);
}

TEST_CASE("a checksum is printed as sixteen digits") {
  CHECK(format_checksum(0) == "0000000000000000");
  CHECK(format_checksum(0xfedcba9876543210) == "fedcba9876543210");
}
