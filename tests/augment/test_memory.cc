#include <doctest/doctest.h>

#include <array>

#include "augment/augmenter.h"
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

TEST_CASE("an augmenter takes what it states, its plan's tree included") {
  for (const int steps : {1, 10, 1000}) {
    TransformPlan plan;
    OneOf choice{std::vector<Augmentation>(static_cast<std::size_t>(steps)),
                 std::vector<double>(static_cast<std::size_t>(steps), 1.0)};
    plan.augmentation = {{.step = choice}, {.step = Shuffled{{{.step = choice}}}}};
    const std::size_t bytes = testing::peak_of([&] {
      const TransformPlan copy = plan;
      augment::Augmenter augmenter(copy);
      for (std::uint64_t i = 0; i < 100; ++i) augmenter.augment(data::make_key(1, 0), i);
    });
    CHECK(bytes <= augment::Augmenter::memory_bound(plan));
    CHECK(2 * bytes > augment::Augmenter::memory_bound(plan));
  }
}

TEST_CASE("an augmenter that mixes chains takes what it states") {
  TransformPlan plan;
  const std::vector<Augmentation> links(13, {.step = TimmOperation{}});
  plan.augmentation = {{.step = OneOf{{{.step = AugMix{.steps = links, .depth = 2}}, {}}}}};
  const std::size_t bytes = testing::peak_of([&] {
    const TransformPlan copy = plan;
    augment::Augmenter augmenter(copy);
    for (std::uint64_t i = 0; i < 20; ++i) augmenter.augment(data::make_key(1, 0), i);
  });
  CHECK(bytes <= augment::Augmenter::memory_bound(plan));
  CHECK(bytes + 65536 > augment::Augmenter::memory_bound(plan));
}

}  // namespace
}  // namespace ringfeed
