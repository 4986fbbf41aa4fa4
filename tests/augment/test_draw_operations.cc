#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "augment/draw_operations.h"
#include "augment/matrices.h"
#include "ringfeed/policies.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {
namespace {

constexpr int count = 100'000;
constexpr std::uint64_t seed = 77;
constexpr std::size_t limit = DecodeLimits{}.max_canvas_bytes;

Augmentation plain(OperationKind kind) { return {.step = Operation{.kind = kind}}; }

/// The operations' names, for each of `count` positions.
std::map<std::string, int> drawn(const std::vector<Augmentation>& tree) {
  std::map<std::string, int> found;
  std::vector<Operation> operations;
  for (int position = 0; position < count; ++position) {
    draw_operations(tree, 10, 20, data::make_key(seed, 0), static_cast<std::uint64_t>(position),
                    limit, operations);
    REQUIRE(operations.size() <= max_operations(tree));
    std::string names;
    for (const Operation& operation : operations) {
      names += (names.empty() ? "" : " ") + std::string(to_string(operation.kind));
    }
    ++found[names];
  }
  return found;
}

/// Whether a share of `count` is p, but for once in a billion.
bool is_share(int times, double p) {
  return std::abs(times - p * count) <= 6 * std::sqrt(p * (1 - p) * count) + 1e-9;
}

const Augmentation invert = plain(OperationKind::invert);
const Augmentation equalize = plain(OperationKind::equalize);
const Augmentation grayscale = plain(OperationKind::grayscale);

TEST_CASE("a step is done as often as its probability says") {
  for (const double p : {0.0, 0.25, 0.9, 1.0}) {
    Augmentation step = invert;
    step.probability = p;
    auto found = drawn({step});
    CHECK(is_share(found["invert"], p));
    CHECK(is_share(found[""], 1 - p));
  }
}

TEST_CASE("one of several is chosen by its weight, a weight of 0 never") {
  auto equal = drawn({{.step = OneOf{{invert, equalize, {}}}}});
  for (const char* name : {"invert", "equalize", ""}) CHECK(is_share(equal[name], 1.0 / 3));
  auto weighted = drawn({{.step = OneOf{{invert, equalize, grayscale}, {0, 3, 1}}}});
  CHECK(weighted["invert"] == 0);
  CHECK(is_share(weighted["equalize"], 0.75));
  auto last = drawn({{.step = OneOf{{invert, equalize}, {0.1, 0}}}});
  CHECK(last["invert"] == count);
}

TEST_CASE("steps come in their order, or in each order equally often") {
  CHECK(drawn({invert, {.step = InOrder{{equalize, grayscale}}}})["invert equalize grayscale"] ==
        count);
  auto orders = drawn({{.step = Shuffled{{invert, equalize, grayscale}}}});
  CHECK(orders.size() == 6);
  for (const auto& [order, times] : orders) CHECK(is_share(times, 1.0 / 6));
}

TEST_CASE("what is drawn is a function of key and position alone") {
  const std::vector<Augmentation> tree{rand_augment({})};
  std::vector<Operation> first, again;
  std::set<std::vector<OperationKind>> seen;
  for (std::uint64_t position = 0; position < 200; ++position) {
    draw_operations(tree, 224, 224, data::make_key(1, 2), position, limit, first);
    draw_operations(tree, 224, 224, data::make_key(1, 2), position, limit, again);
    CHECK(first == again);
    std::vector<OperationKind> kinds;
    for (const Operation& operation : first) kinds.push_back(operation.kind);
    seen.insert(kinds);
  }
  CHECK(seen.size() > 60);
}

TEST_CASE("an adjustment is a float32 number between its two") {
  const std::vector<Augmentation> tree{{.step = RandomAdjustment{OperationKind::hue, -0.3, 0.1}}};
  std::vector<Operation> operations;
  double low = 1, high = -1;
  for (std::uint64_t position = 0; position < 10'000; ++position) {
    draw_operations(tree, 1, 1, data::make_key(seed, 1), position, limit, operations);
    const double value = operations.at(0).values[0];
    REQUIRE(value == static_cast<float>(value));
    low = std::min(low, value);
    high = std::max(high, value);
  }
  CHECK(low == doctest::Approx(-0.3).epsilon(0.001));
  CHECK(high == doctest::Approx(0.1).epsilon(0.01));
}

TEST_CASE("a rotation turns about the middle or the centre given") {
  const Matrix quarter = rotation(90, {10, 5});
  CHECK(quarter == Matrix{0, -1, 15, 1, 0, -5});
  CHECK(rotation(-270, {10, 5}) == quarter);
  CHECK(rotation(0, {7, 3}) == Matrix{1, 0, 0, 0, 1, 0});
  std::vector<Operation> operations;
  draw_operations(std::vector<Augmentation>{{.step = RandomRotation{.low = 90, .high = 90}}}, 10,
                  20, data::make_key(0, 0), 0, limit, operations);
  for (std::size_t i = 0; i < 6; ++i) CHECK(operations.at(0).values[i] == quarter[i]);
}

TEST_CASE("a plan refuses an augmentation that makes no sense, by its name") {
  const auto refused = [](const Augmentation& step) -> std::string {
    TransformPlan plan;
    plan.augmentation = {{.step = InOrder{{{.step = Shuffled{{step}}}}}}};
    try {
      plan.validate();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const auto adjusted = [](OperationKind kind, double low, double high) {
    return Augmentation{.step = RandomAdjustment{kind, low, high}};
  };
  CHECK(refused(invert).empty());
  CHECK(refused({.probability = 1.5}).find("probability") != std::string::npos);
  CHECK(refused({.step = OneOf{}}).find("one of") != std::string::npos);
  CHECK(refused({.step = OneOf{{invert}, {1, 2}}}).find("a weight for each") != std::string::npos);
  CHECK(refused({.step = OneOf{{invert}, {0}}}).find("above 0") != std::string::npos);
  CHECK(refused({.step = OneOf{{invert, invert}, {1e308, 1e308}}}).find("sum finite") !=
        std::string::npos);
  CHECK(refused({.step = RandomRotation{.center = {{std::nan(""), 0}}}}).find("center") !=
        std::string::npos);
  CHECK(refused(adjusted(OperationKind::brightness, -1, 1)).find("brightness") !=
        std::string::npos);
  CHECK(refused(adjusted(OperationKind::hue, 0, 0.6)).find("hue") != std::string::npos);
  CHECK(refused(adjusted(OperationKind::contrast, 2, 1)).find("low <= high") != std::string::npos);
  CHECK(refused(adjusted(OperationKind::equalize, 0, 1)).find("no factor") != std::string::npos);
  CHECK(
      refused({.step = Operation{.kind = OperationKind::posterize, .values = {9}}}).find("bits") !=
      std::string::npos);
  CHECK(refused({.step = Operation{.kind = OperationKind::mix_add}}).find("mix_add") !=
        std::string::npos);
  CHECK(refused({.step = Operation{.kind = OperationKind::affine, .values = {std::nan("")}}})
            .find("finite") != std::string::npos);
  CHECK(refused({.step = RandomRotation{.interpolation = Interpolation::lanczos}})
            .find("not lanczos") != std::string::npos);
  CHECK(refused({.step = RandomAffine{.scale = {0, 1}}}).find("scale") != std::string::npos);
  CHECK(refused({.step = InOrder{std::vector<Augmentation>(65, invert)}}).find("at most 64") !=
        std::string::npos);
  CHECK(refused({.step = Shuffled{std::vector<Augmentation>(65)}}).find("at most 64") !=
        std::string::npos);
}

TEST_CASE("every number of a step shows in its text") {
  const Augmentation plain_step{.step = RandomAffine{}};
  std::set<std::string> texts{to_string(plain_step)};
  const auto changed = [&](auto&& change) {
    RandomAffine affine;
    change(affine);
    texts.insert(to_string({.step = affine}));
  };
  changed([](RandomAffine& a) { a.degrees = {0, 1}; });
  changed([](RandomAffine& a) { a.translate = {0, 1}; });
  changed([](RandomAffine& a) { a.scale = {1, 2}; });
  changed([](RandomAffine& a) { a.shear_x = {0, 1}; });
  changed([](RandomAffine& a) { a.shear_y = {0, 1}; });
  changed([](RandomAffine& a) { a.interpolation = Interpolation::bicubic; });
  changed([](RandomAffine& a) { a.fill = {0, 0, 1}; });
  changed([](RandomAffine& a) { a.center = {{0, 0}}; });
  texts.insert(to_string({.step = RandomAdjustment{OperationKind::hue, 0, 0.5}}));
  texts.insert(to_string({.step = RandomAdjustment{OperationKind::hue, -0.5, 0.5}}));
  texts.insert(to_string({.step = RandomAdjustment{OperationKind::contrast, 0, 0.5}}));
  texts.insert(to_string({.step = InOrder{{invert, equalize}}}));
  texts.insert(to_string({.step = Shuffled{{invert, equalize}}}));
  texts.insert(to_string({.step = OneOf{{invert, equalize}}}));
  CHECK(texts.size() == 15);
}

TEST_CASE("a tree's text tells all that its samples follow from") {
  Augmentation step{.probability = 0.5, .step = RandomRotation{.low = -3, .high = 0.1}};
  CHECK(to_string(step) == "p(0.5) random_rotation(-3 0.1) nearest()");
  const std::string before = to_string(step);
  std::get<RandomRotation>(step.step).center = {1, 2};
  CHECK(to_string(step) == "p(0.5) random_rotation(-3 0.1)about(1 2) nearest()");
  CHECK(to_string({.step = OneOf{{invert, {}}, {1, 2}}}) ==
        "one_of[invert(), in_order[]]weights(1 2)");
  CHECK(to_string({.step = Operation{.kind = OperationKind::affine,
                                     .fill = {1, 0, 3},
                                     .values = {1, 0, 0.1}}}) == "affine(1 0 0.1) nearest(1 0 3)");
}

TEST_CASE("some of several are chosen by their weights, none of them twice") {
  const std::vector<Augmentation> steps{invert, equalize, grayscale,
                                        plain(OperationKind::autocontrast)};
  auto found = drawn({{.step = SomeOf{steps, {5, 3, 2, 0}, 2}}});
  CHECK(found.size() == 6);
  CHECK(is_share(found["invert equalize"], 0.5 * 3 / 5));
  CHECK(is_share(found["invert grayscale"], 0.5 * 2 / 5));
  CHECK(is_share(found["equalize invert"], 0.3 * 5 / 7));
  CHECK(is_share(found["equalize grayscale"], 0.3 * 2 / 7));
  CHECK(is_share(found["grayscale invert"], 0.2 * 5 / 8));
  CHECK(drawn({{.step = SomeOf{steps, {5, 3, 2, 0}, 0}}})[""] == count);
}

TEST_CASE("a mix opens, closes each chain and ends") {
  const AugMix mix{.steps = {invert, equalize}, .width = 3};
  for (const bool blended : {false, true}) {
    AugMix other = mix;
    other.blended = blended;
    const std::string close = blended ? "mix_blend" : "mix_add";
    for (const auto& [names, times] : drawn({{.step = other}})) {
      CHECK(names.starts_with("mix_begin "));
      CHECK(names.ends_with(" " + close + " mix_end"));
      std::size_t chains = 0;
      for (auto at = names.find(close); at != names.npos; at = names.find(close, at + 1)) ++chains;
      CHECK(chains == 3);
    }
  }
}

TEST_CASE("a perspective's numbers bring each corner to the image's own") {
  std::vector<Operation> operations;
  for (const double scale : {0.1, 0.5, 1.0}) {
    for (const auto& [height, width] : {std::array{224, 224}, {61, 75}, {3, 2}, {65535, 65535}}) {
      const std::vector<Augmentation> tree{{.step = RandomPerspective{.distortion_scale = scale}}};
      for (std::uint64_t position = 0; position < 200; ++position) {
        draw_operations(tree, height, width, data::make_key(seed, 0), position, limit, operations);
        REQUIRE(operations.size() == 1);
        for (const double value : operations[0].values) {
          REQUIRE(std::isfinite(value));
          REQUIRE(value == static_cast<float>(value));
        }
      }
    }
  }
  const Corners corners{{{3, 5}, {70, 2}, {60, 55}, {10, 48}}};
  const auto v = perspective_coefficients(corners, 61, 75).value();
  const double targets[4][2] = {{0, 0}, {74, 0}, {74, 60}, {0, 60}};
  for (std::size_t i = 0; i < 4; ++i) {
    const double x = corners[i][0], y = corners[i][1];
    const double depth = v[6] * x + v[7] * y + 1;
    CHECK(std::abs((v[0] * x + v[1] * y + v[2]) / depth - targets[i][0]) < 1e-4);
    CHECK(std::abs((v[3] * x + v[4] * y + v[5]) / depth - targets[i][1]) < 1e-4);
  }
}

TEST_CASE("corners on one line have no perspective") {
  CHECK(!perspective_coefficients({{{2, 2}, {4, 4}, {3, 3}, {0, 9}}}, 10, 10));
  CHECK(!perspective_coefficients({{{1, 1}, {1, 1}, {9, 9}, {0, 9}}}, 10, 10));
  std::vector<Operation> operations;
  const auto drawn = draw_operations(std::vector<Augmentation>{{.step = RandomPerspective{}}}, 1, 9,
                                     data::make_key(seed, 0), 0, limit, operations);
  REQUIRE_FALSE(drawn);
  CHECK(drawn.error().detail ==
        "image of 1 x 9 pixels is smaller than RandomPerspective of 2 x 2; remove the file, or "
        "resize or pad before that step");
}

}  // namespace
}  // namespace ringfeed::augment
