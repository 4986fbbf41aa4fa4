#include <doctest/doctest.h>

#include <array>

#include "augment/augmenter.h"
#include "augment/canvas.h"
#include "base/scratch.h"
#include "support/counted_heap.h"

namespace ringfeed {
namespace {

constexpr std::size_t limit = DecodeLimits{}.max_canvas_bytes;

TEST_CASE("a canvas takes what it states") {
  for (const auto& [height, width] : {std::array{1, 1}, {224, 224}, {17, 8191}}) {
    const std::size_t bytes = testing::peak_of([h = height, w = width] { augment::Canvas(h, w); });
    CHECK(bytes <= augment::Canvas::memory_bound(height, width));
    CHECK(bytes + 4096 + 128 >= augment::Canvas::memory_bound(height, width));
  }
}

TEST_CASE("a canvas of one image after the other keeps modest memory, and never two pieces") {
  augment::Canvas canvas;
  canvas.reshape(100, 100);
  const std::uint8_t* const first = canvas.row(0);
  canvas.reshape(20, 300);
  CHECK(canvas.row(0) == first);
  const std::size_t modest = testing::heap_live;
  canvas.reshape(4000, 4000);
  CHECK(testing::heap_live > modest + modest_scratch);
  CHECK(testing::peak_of([&] { canvas.reshape(4000, 4100); }) < modest_scratch);
  canvas.reshape(100, 100);
  CHECK(testing::heap_live <= modest);
}

TEST_CASE("an augmenter takes what it states, its plan's tree included") {
  for (const int steps : {1, 10, 1000}) {
    TransformPlan plan;
    OneOf choice{std::vector<Augmentation>(static_cast<std::size_t>(steps)),
                 std::vector<double>(static_cast<std::size_t>(steps), 1.0)};
    plan.augmentation = {{.step = choice}, {.step = Shuffled{{{.step = choice}}}}};
    resize::Resampler resampler(plan.pillow);
    const std::size_t bytes = testing::peak_of([&] {
      const TransformPlan copy = plan;
      augment::Augmenter augmenter(copy, limit, resampler);
      for (std::uint64_t i = 0; i < 100; ++i) {
        REQUIRE(augmenter.begin(224, 224, data::make_key(1, 0), i));
        augmenter.augment();
      }
    });
    CHECK(bytes <= augment::Augmenter::fixed_bytes(plan));
    CHECK(2 * bytes > augment::Augmenter::fixed_bytes(plan));
  }
}

TEST_CASE("an augmenter that mixes chains takes what it states") {
  TransformPlan plan;
  const std::vector<Augmentation> links(13, {.step = TimmOperation{}});
  plan.augmentation = {{.step = OneOf{{{.step = AugMix{.steps = links, .depth = 2}}, {}}}}};
  resize::Resampler resampler(plan.pillow);
  const std::size_t bytes = testing::peak_of([&] {
    const TransformPlan copy = plan;
    augment::Augmenter augmenter(copy, limit, resampler);
    for (std::uint64_t i = 0; i < 20; ++i) {
      REQUIRE(augmenter.begin(224, 224, data::make_key(1, 0), i));
      augmenter.augment();
    }
  });
  CHECK(bytes <= augment::Augmenter::fixed_bytes(plan));
  CHECK(bytes + 65536 > augment::Augmenter::fixed_bytes(plan));
}

TEST_CASE("an augmenter of images of any size takes what it says of each before") {
  TransformPlan plan;
  plan.geometry = WholeImage{};
  const std::vector<Augmentation> links(13, {.step = TimmOperation{}});
  plan.augmentation = {{.step = AugMix{.steps = links, .depth = 2}},
                       {.step = RandomRotation{.low = 10, .high = 10}},
                       {.step = Resize{.shorter = 700, .interpolation = Interpolation::lanczos}},
                       {.step = AugMix{.steps = links, .depth = 2}},
                       {.step = RandomResizedCrop{}}};
  resize::Resampler resampler(plan.pillow);
  augment::Augmenter augmenter(plan, limit, resampler);
  const auto key = data::make_key(1, 0);
  for (const auto& [height, width] :
       {std::array{300, 40}, {2000, 3000}, {40, 300}, {3000, 2000}, {300, 300}, {800, 300}}) {
    const auto need = augmenter.need(height, width, key, 0);
    REQUIRE(need);
    const std::size_t added = testing::peak_of([&, h = height, w = width] {
      REQUIRE(augmenter.begin(h, w, key, 0));
      augmenter.augment();
    });
    CHECK(added <= *need);
    CHECK(*need <= augment::Augmenter::most_need(plan, limit));
    if (height * width > 1'000'000) CHECK(3 * augmenter.held() > *need);
  }
  resampler.release();
  const std::size_t held = augmenter.held(), before = testing::heap_live;
  augmenter.release();
  CHECK(augmenter.held() == 0);
  CHECK(before - testing::heap_live >= held);
}

TEST_CASE("a chain of resizes takes no more than is kept for the most that it may need") {
  constexpr std::size_t canvas_limit = 4 << 20;
  TransformPlan plan;
  plan.geometry = WholeImage{};
  for (int i = 0; i < 6; ++i) {
    for (const int height : {10 + i, 1000 + i}) {
      plan.augmentation.push_back({.step = Resize{.shorter = 0,
                                                  .height = height,
                                                  .width = 1000,
                                                  .interpolation = Interpolation::lanczos}});
    }
  }
  resize::Resampler resampler(plan.pillow);
  augment::Augmenter augmenter(plan, canvas_limit, resampler);
  const auto key = data::make_key(1, 0);
  const auto need = augmenter.need(1000, 1000, key, 0);
  REQUIRE(need);
  CHECK(*need <= augment::Augmenter::most_need(plan, canvas_limit));
  const std::size_t added = testing::peak_of([&] {
    REQUIRE(augmenter.begin(1000, 1000, key, 0));
    augmenter.augment();
  });
  CHECK(added <= *need);
  CHECK(3 * added > *need);
}

}  // namespace
}  // namespace ringfeed
