#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "augment/draw_operations.h"
#include "augment/geometry.h"
#include "augment/shapes.h"
#include "augment/sizes.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {
namespace {

constexpr std::size_t limit = DecodeLimits{}.max_canvas_bytes;

std::vector<Operation> drawn(const std::vector<Augmentation>& tree, Size image,
                             std::uint64_t position = 0, std::size_t most = limit) {
  std::vector<Operation> operations;
  REQUIRE(draw_operations(tree, image.height, image.width, data::make_key(5, 6), position, most,
                          operations));
  return operations;
}

std::string failure_of(const std::vector<Augmentation>& tree, Size image,
                       std::size_t most = limit) {
  std::vector<Operation> operations;
  const auto done =
      draw_operations(tree, image.height, image.width, data::make_key(5, 6), 0, most, operations);
  return done ? "" : done.error().detail;
}

const Augmentation crop{.step = CenterCrop{.height = 40, .width = 50}};
const Augmentation maybe{.probability = 0.5, .step = CenterCrop{.height = 40, .width = 50}};

TEST_CASE("the size behind a tree is known where no draw can change it") {
  const auto after = [](const std::vector<Augmentation>& tree, Size size) {
    return size_after(tree, size);
  };
  constexpr Size unknown{}, small{40, 50}, big{200, 300};
  CHECK(after({crop}, unknown) == small);
  CHECK(after({maybe}, unknown) == unknown);
  CHECK(after({maybe}, small) == small);
  CHECK(after({maybe, crop}, big) == small);
  CHECK(after({{.step = OneOf{{crop, {.step = Resize{.shorter = 0, .height = 40, .width = 50}}}}}},
              big) == small);
  CHECK(after({{.step = OneOf{{crop, {}}}}}, big) == unknown);
  CHECK(after({{.step = Shuffled{{crop, {}}}}}, small) == small);
  CHECK(after({{.step = Shuffled{{crop, {}}}}}, big) == unknown);
  CHECK(after({{.step = SomeOf{{crop, {}}, {1, 1}, 1}}}, small) == small);
  CHECK(after({{.step = SomeOf{{crop, {}}, {1, 1}, 1}}}, big) == unknown);
  CHECK(after({{.step = Resize{.shorter = 100}}}, big) == Size{100, 150});
  CHECK(after({{.step = Resize{.shorter = 100}}}, unknown) == unknown);
  CHECK(after({{.step = Pad{1, 2, 3, 4}}}, big) == Size{206, 304});
  CHECK(after({{.step = ResizeKeepRatio{.height = 100, .width = 100}}}, big) == Size{100, 150});
  CHECK(after({{.step = ResizeKeepRatio{.scale_probability = 0.1}}}, big) == unknown);
}

TEST_CASE("each operation is drawn for the size that the image has by then") {
  const auto operations = drawn({{.step = Pad{1, 2, 3, 4}},
                                 {.step = Resize{.shorter = 30}},
                                 {.step = RandomRotation{.low = 90, .high = 90}},
                                 {.step = RandomResizedCrop{.height = 7, .width = 9}}},
                                {54, 116});
  REQUIRE(operations.size() == 5);
  CHECK(operations[0].values == std::array<double, 8>{-2, -1, 60, 120});
  CHECK(operations[1].values == std::array<double, 8>{30, 60});
  CHECK(operations[2].values[2] == doctest::Approx(30 + 15));  // about the middle of 30 x 60
  CHECK(operations[3].kind == OperationKind::crop);
  CHECK(operations[3].values[2] <= 30);
  CHECK(operations[4].values == std::array<double, 8>{7, 9});
}

TEST_CASE("offsets of a random crop are uniform, padding included") {
  constexpr int count = 100'000;
  const std::vector<Augmentation> tree{
      {.step = RandomCrop{.height = 6, .width = 6, .left = 1, .top = 1, .right = 1, .bottom = 1}}};
  int found[5][6] = {};
  for (std::uint64_t position = 0; position < count; ++position) {
    const Operation window = drawn(tree, {8, 9}, position).at(0);
    ++found[static_cast<int>(window.values[0]) + 1][static_cast<int>(window.values[1]) + 1];
  }
  for (const auto& row : found) {
    for (const int times : row) CHECK(std::abs(times - count / 30) < 6 * std::sqrt(count / 30));
  }
}

TEST_CASE("a side that lacks pixels is padded by as many on each end") {
  const std::vector<Augmentation> tree{
      {.step = RandomCrop{.height = 10, .width = 4, .pad_if_needed = true}}};
  int first = 0, last = -100;
  for (std::uint64_t position = 0; position < 1000; ++position) {
    const Operation window = drawn(tree, {7, 4}, position).at(0);
    CHECK(window.values[1] == 0);
    first = std::min(first, static_cast<int>(window.values[0]));
    last = std::max(last, static_cast<int>(window.values[0]));
  }
  CHECK(first == -3);
  CHECK(last == 0);
}

TEST_CASE(
    "an image that cannot be cropped, or becomes too large or nothing, fails with the reason") {
  CHECK(failure_of({{.step = RandomCrop{.height = 30, .width = 30}}}, {29, 99}) ==
        "image of 29 x 99 pixels is smaller than RandomCrop of 30 x 30; remove the file, or "
        "resize or pad before that step");
  CHECK(failure_of({{.step = Pad{-5, -5, -5, -5}}}, {10, 99}) ==
        "image of 0 x 89 pixels behind Pad: nothing is left of it; remove the file, or change the "
        "transform");
  // Between the passes stands a third image.
  const Operation resize{.kind = OperationKind::resize, .values = {1, 8192}};
  CHECK(failure_of({{.step = resize}}, {16'384, 2700}) ==
        "image of 16384 x 8192 pixels within resize takes more than 134217728 bytes");
  CHECK(failure_of({{.step = Resize{.shorter = 300}}, crop}, {1, 60}).find("16384") !=
        std::string::npos);
  const std::size_t most = 3 * 64 * 64 + 64;
  CHECK(failure_of({{.step = Pad{0, 0, 0, 1}}, crop}, {63, 64}, most).empty());
  CHECK(failure_of({{.step = Pad{0, 0, 0, 2}}, crop}, {63, 64}, most) ==
        "image of 65 x 64 pixels behind Pad takes more than 12352 bytes");
}

TEST_CASE("a plan's size is that of its last image") {
  TransformPlan plan;
  plan.geometry = WholeImage{};
  CHECK_THROWS_AS(plan.validate(), std::invalid_argument);
  plan.augmentation = {crop};
  CHECK_THROWS_WITH_AS(plan.validate(),
                       "TransformPlan: hflip_probability must be 0 with WholeImage; its "
                       "augmentation can flip",
                       std::invalid_argument);
  plan.hflip_probability = 0;
  plan.validate();
  CHECK(plan.out_height() == 40);
  CHECK(plan.out_width() == 50);
  plan.geometry = RandomResizedCrop{};
  plan.augmentation = {{.step = Pad{1, 2, 3, 4}}};
  plan.validate();
  CHECK(plan.out_height() == 230);
}

TEST_CASE("an image mirrored before its crop is cut at the drawn place of the mirror image") {
  TransformPlan plan;
  plan.hflip_probability = 1;
  const Geometry after = draw_geometry(plan, 100, 200, data::make_key(1, 2), 3);
  plan.hflip_first = true;
  const Geometry before = draw_geometry(plan, 100, 200, data::make_key(1, 2), 3);
  CHECK(after.hflip);
  CHECK_FALSE(before.hflip);
  CHECK(before.mirrored_source);
  CHECK(before.left == 200 - after.left - after.width);
  CHECK(drawn_box(plan, before, 200) == Box{after.top, after.left, after.height, after.width});
}

TEST_CASE("one of several filters is drawn for each sample") {
  TransformPlan plan;
  plan.geometry =
      RandomResizedCrop{.interpolations = {Interpolation::bilinear, Interpolation::bicubic}};
  int bicubic = 0;
  for (std::uint64_t position = 0; position < 10'000; ++position) {
    const Geometry g = draw_geometry(plan, 100, 200, data::make_key(1, 2), position);
    bicubic += g.interpolation == Interpolation::bicubic;
    CHECK(
        (g.interpolation == Interpolation::bicubic || g.interpolation == Interpolation::bilinear));
  }
  CHECK(std::abs(bicubic - 5000) < 300);
}

}  // namespace
}  // namespace ringfeed::augment
