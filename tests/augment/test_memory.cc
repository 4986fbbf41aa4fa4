#include <doctest/doctest.h>

#include <array>

#include "augment/canvas.h"
#include "support/counted_heap.h"

namespace ringfeed {
namespace {

TEST_CASE("a canvas takes what it states") {
  for (const auto& [height, width] : {std::array{1, 1}, {224, 224}, {17, 8191}}) {
    const std::size_t bytes = testing::peak_of([h = height, w = width] { augment::Canvas(h, w); });
    CHECK(bytes <= augment::Canvas::memory_bound(height, width));
    CHECK(bytes + 4096 + 128 >= augment::Canvas::memory_bound(height, width));
  }
}

}  // namespace
}  // namespace ringfeed
