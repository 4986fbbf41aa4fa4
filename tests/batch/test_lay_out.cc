#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "batch/lay_out.h"

using namespace ringfeed;

namespace {

TransformPlan plan(int side, DType dtype, Layout layout = Layout::nchw) {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = side, .width = side + 1};
  plan.dtype = dtype;
  plan.layout = layout;
  return plan;
}

}  // namespace

TEST_CASE("views stand one after the other, each from a multiple of 64 bytes on") {
  const std::vector plans{plan(5, DType::uint8), plan(3, DType::float16, Layout::channels_last),
                          plan(1, DType::uint8), plan(7, DType::float32)};
  for (std::size_t size = 1; size < 40; ++size) {
    const std::vector<BatchView> views = batch::lay_out(plans, size);
    REQUIRE(views.size() == plans.size());
    std::size_t end = 0;
    for (std::size_t v = 0; v < views.size(); ++v) {
      CHECK(views[v].height == plans[v].out_height());
      CHECK(views[v].width == plans[v].out_width());
      CHECK(views[v].dtype == plans[v].dtype);
      CHECK(views[v].layout == plans[v].layout);
      CHECK(views[v].offset % 64 == 0);
      CHECK(views[v].offset >= end);
      CHECK(views[v].offset < end + 64);
      end = views[v].offset + size * plans[v].sample_bytes();
    }
    CHECK(batch::bytes_of(views, size) == end);
  }
}

TEST_CASE("a single view takes what its samples take, and no byte more") {
  const TransformPlan small = plan(5, DType::uint8);
  CHECK(batch::bytes_of(batch::lay_out({small}, 7), 7) == 7 * small.sample_bytes());
}
