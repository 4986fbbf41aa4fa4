#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "augment/geometry.h"
#include "resize/resampler.h"
#include "support/counted_heap.h"

namespace ringfeed {
namespace {

/// Resizes images of these heights and widths by `plan`, one after another. The most bytes that one
/// of them added to what was held; each is held against what was said before.
std::size_t resize_peak(const TransformPlan& plan, const std::vector<std::array<int, 2>>& sizes) {
  resize::Resampler resampler(plan.pillow);
  const std::size_t empty = testing::heap_live;
  std::size_t most = 0;
  for (const auto& [height, width] : sizes) {
    const auto geometry = augment::draw_geometry(plan, height, width, data::make_key(1, 0), 0);
    const std::size_t need = resampler.need(geometry);
    const std::size_t added = testing::peak_of([&] { resampler.begin(geometry); });
    CHECK(added <= need);
    CHECK(need <= resize::Resampler::most_need(
                      plan, static_cast<std::uint64_t>(height) * static_cast<unsigned>(width)));
    CHECK(testing::heap_live - empty >= resampler.held());
    CHECK(testing::heap_live - empty <= resampler.held() + 65536);
    most = std::max(most, added);
  }
  resampler.release();
  CHECK(resampler.held() == 0);
  CHECK(testing::heap_live == empty);
  return most;
}

/// Limited to the largest of them.
std::size_t resize_bound(const TransformPlan& plan, const std::vector<std::array<int, 2>>& sizes) {
  std::uint64_t pixels = 0;
  for (const auto& [height, width] : sizes) {
    pixels = std::max(pixels, static_cast<std::uint64_t>(height) * static_cast<unsigned>(width));
  }
  return resize::Resampler::most_need(plan, pixels);
}

TEST_CASE("a resize to less than the crop stays within its bound") {
  TransformPlan plan = TransformPlan::imagenet_val();
  plan.geometry = ResizeCenterCrop{.resize = 1, .height = 48, .width = 48};
  const std::vector<std::array<int, 2>> sizes{
      {65535, 65535}, {65534, 65534}, {65533, 65533}, {65532, 65532}};
  CHECK(resize_peak(plan, sizes) <= resize_bound(plan, sizes));
}

TEST_CASE("a resize to an exact size, and none, stay within their bound") {
  TransformPlan plan = TransformPlan::imagenet_val();
  const std::vector<std::array<int, 2>> sizes{
      {65535, 2700}, {65534, 2699}, {2700, 65535}, {2699, 65534}};
  for (const auto& [height, width] : {std::array{1, 1}, {1, 300}, {300, 1}, {8192, 8192}, {0, 0}}) {
    plan.geometry = ResizeCenterCrop{
        .resize = 0, .height = 48, .width = 300, .resize_height = height, .resize_width = width};
    CHECK(resize_peak(plan, sizes) <= resize_bound(plan, sizes));
  }
}

TEST_CASE("a resize that max_size cuts short stays within its bound") {
  TransformPlan plan = TransformPlan::imagenet_val();
  // Of the shorter sides hardly two pixels remain, and are rounded down to one.
  const std::vector<std::array<int, 2>> sizes{{65535, 649}, {65534, 648}, {65533, 647},
                                              {65532, 646}, {649, 65535}, {648, 65534},
                                              {647, 65533}, {646, 65532}};
  for (const int resize : {1, 2, 200}) {
    plan.geometry =
        ResizeCenterCrop{.resize = resize, .height = 224, .width = 224, .max_size = resize + 1};
    CHECK(resize_peak(plan, sizes) <= resize_bound(plan, sizes));
  }
}

TEST_CASE("a resize by the widest filters stays within its bound") {
  const std::vector<std::array<int, 2>> sizes{{65535, 2700}, {65534, 2699}, {65533, 2698},
                                              {65532, 2697}, {2700, 65535}, {2699, 65534},
                                              {2698, 65533}, {2697, 65532}, {13000, 13001}};
  for (const auto& [name, interpolation] : interpolations) {
    CAPTURE(name);
    TransformPlan plan = TransformPlan::imagenet_train();
    plan.interpolation = interpolation;
    for (const auto& [height, width] : {std::array{1, 1}, {1, 224}, {224, 1}, {224, 224}}) {
      plan.geometry = RandomResizedCrop{
          .height = height, .width = width, .scale_min = 1, .ratio_min = 1e-5, .ratio_max = 1e5};
      CHECK(resize_peak(plan, sizes) <= resize_bound(plan, sizes));
    }
  }
}

TEST_CASE("a resize of extreme crops stays within its bound") {
  TransformPlan plan = TransformPlan::imagenet_train();
  const std::vector<std::array<int, 2>> sizes{{65535, 2700}, {65534, 2699}, {65533, 2698},
                                              {65532, 2697}, {2700, 65535}, {2699, 65534},
                                              {2698, 65533}, {2697, 65532}, {13000, 13001}};
  for (const auto& [height, width] : {std::array{1, 1}, {1, 224}, {224, 1}, {224, 224}}) {
    plan.geometry = RandomResizedCrop{
        .height = height, .width = width, .scale_min = 1, .ratio_min = 1e-5, .ratio_max = 1e5};
    CHECK(resize_peak(plan, sizes) <= resize_bound(plan, sizes));
  }
  CHECK(resize_peak(plan, sizes) > resize_bound(plan, sizes) / 5);
}

TEST_CASE("a resize's scratch stops growing") {
  const TransformPlan plan = TransformPlan::imagenet_train();
  resize::Resampler resampler(plan.pillow);
  const auto begin_all = [&] {
    for (int i = 0; i < 8; ++i) {
      resampler.begin(augment::draw_geometry(plan, 1500 - i, 140 + i, data::make_key(1, 0), 0));
    }
  };
  begin_all();
  const std::size_t held = testing::heap_live;
  begin_all();
  CHECK(testing::heap_live == held);
}

TEST_CASE("the resize's rows never take more than the largest image needs") {
  TransformPlan plan = TransformPlan::imagenet_train();
  plan.geometry = RandomResizedCrop{.height = 8, .width = 224, .scale_min = 1, .ratio_min = 1e-3};
  // Tall enough for the vertical pass to come first: whole source rows are kept.
  const std::size_t alone = resize_peak(plan, {{16000, 1300}});
  CHECK(resize_peak(plan, {{16000, 1200}, {16000, 1300}}) <= alone + alone / 4);
}

}  // namespace
}  // namespace ringfeed
