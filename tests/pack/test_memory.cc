#include <doctest/doctest.h>

#include <vector>

#include "base/planar.h"
#include "pack/packer.h"
#include "support/counted_heap.h"

namespace ringfeed {
namespace {

TEST_CASE("a packer takes what it states, for every dtype and layout") {
  for (DType dtype : {DType::float32, DType::float16, DType::bfloat16, DType::uint8}) {
    for (Layout layout : {Layout::nchw, Layout::channels_last}) {
      for (int width : {1, 224, 8192}) {
        TransformPlan plan;
        plan.geometry = RandomResizedCrop{.height = 1, .width = width};
        plan.dtype = dtype;
        plan.layout = layout;
        const std::vector<std::uint8_t> row(3 * plane_stride(width) + kernel_slack);
        std::vector<std::byte> out(plan.sample_bytes());
        const std::size_t bytes =
            testing::peak_of([&] { pack::Packer(plan).row(row.data(), 0, out.data()); });
        CHECK(bytes <= pack::Packer::memory_bound(plan));
        CHECK(bytes + 256 >= pack::Packer::memory_bound(plan));
      }
    }
  }
}

}  // namespace
}  // namespace ringfeed
