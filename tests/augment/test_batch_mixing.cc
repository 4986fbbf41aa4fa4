// What C++ alone has: tests/python compares the rest with torchvision and timm.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "augment/batch_mixing.h"
#include "ringfeed/error.h"

using namespace ringfeed;
using namespace ringfeed::augment;

namespace {

data::RandomStream stream_at(std::uint64_t position) {
  return {data::make_key(3, 1), position, data::Purpose::mixing};
}

std::string refusal(const Mixing& mixing) {
  try {
    mixing.validate();
  } catch (const OptionError& error) {
    return error.what();
  }
  return "";
}

bool names(const Mixing& mixing, const std::string& what) {
  return refusal(mixing).find(what) != std::string::npos;
}

}  // namespace

TEST_CASE("a batch that always gets the same draws no choice") {
  const auto kind_of = [](const Mixing& mixing) {
    const std::vector<MixChoice> choices = choices_of(mixing);
    REQUIRE(choices.size() == 1);
    CHECK(choices[0].weight == 1);
    return choices[0].kind;
  };
  CHECK(kind_of({}) == MixKind::none);
  CHECK(kind_of({.mixup_alpha = 1}) == MixKind::mixup);
  CHECK(kind_of({.cutmix_alpha = 1}) == MixKind::cutmix);
  CHECK(kind_of({.mixup_alpha = 1, .cutmix_alpha = 1, .switch_prob = 1}) == MixKind::cutmix);
  CHECK(kind_of({.mixup_alpha = 1, .cutmix_alpha = 1, .switch_prob = 0}) == MixKind::mixup);
  CHECK(kind_of({.mixup_alpha = 1, .prob = 0}) == MixKind::none);
}

TEST_CASE("with both alphas one is chosen by switch_prob, of the batches that prob leaves") {
  const Mixing mixing{.mixup_alpha = 0.2, .cutmix_alpha = 1, .prob = 0.75, .switch_prob = 0.6};
  const std::vector<MixChoice> choices = choices_of(mixing);
  int count[3] = {};
  for (std::uint64_t position = 0; position < 10'000; ++position) {
    data::RandomStream stream = stream_at(position);
    const Mix mix = choose_mix(choices, stream, 8, 8).mix;
    ++count[static_cast<int>(mix.kind)];
  }
  CHECK(std::abs(count[static_cast<int>(MixKind::none)] - 2'500) < 250);
  CHECK(std::abs(count[static_cast<int>(MixKind::mixup)] - 3'000) < 250);
  CHECK(std::abs(count[static_cast<int>(MixKind::cutmix)] - 4'500) < 250);
}

TEST_CASE("timm's modes draw for the batch, for each pair, for each image") {
  Mixing mixing{.rule = Mixing::Rule::timm, .mixup_alpha = 0.8, .cutmix_alpha = 1};
  const auto shares = [&](Mixing::Mode mode) {
    mixing.mode = mode;
    data::RandomStream stream = stream_at(9);
    std::vector<double> lams;
    for (const Mix& mix : draw_timm(mixing, stream, 6, 20, 30)) lams.push_back(mix.lam);
    return lams;
  };
  CHECK(shares(Mixing::Mode::batch).size() == 1);
  const std::vector<double> pair = shares(Mixing::Mode::pair), elem = shares(Mixing::Mode::elem);
  REQUIRE(pair.size() == 6);
  REQUIRE(elem.size() == 6);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(pair[i] == pair[5 - i]);
    CHECK(pair[i] == elem[i]);
    CHECK(elem[i] != elem[5 - i]);
  }
}

TEST_CASE("boxes lie within the image") {
  Mixing mixing{.rule = Mixing::Rule::timm, .cutmix_alpha = 1};
  const std::vector<MixChoice> choices = choices_of({.cutmix_alpha = 1});
  const auto check = [](const Mix& mix) {
    const Box& box = mix.box;
    CHECK(box.top >= 0);
    CHECK(box.left >= 0);
    CHECK(box.height >= 0);
    CHECK(box.width >= 0);
    CHECK(box.top + box.height <= 7);
    CHECK(box.left + box.width <= 5);
    CHECK(mix.lam == doctest::Approx(1 - box.height * box.width / 35.0));
  };
  for (std::uint64_t position = 0; position < 500; ++position) {
    data::RandomStream stream = stream_at(position);
    check(choose_mix(choices, stream, 7, 5).mix);
    mixing.cutmix_minmax.reset();
    check(draw_timm(mixing, stream, 2, 7, 5).front());
    mixing.cutmix_minmax = {0.2, 0.9};
    check(draw_timm(mixing, stream, 2, 7, 5).front());
  }
}

TEST_CASE("cutmix_minmax must leave a box") {
  CHECK(has_box({0.2, 0.9}, 7, 5));
  CHECK(has_box({0.0, 1.1}, 9, 9));
  CHECK_FALSE(has_box({0.5, 0.5}, 7, 5));
  CHECK_FALSE(has_box({0.1, 0.9}, 7, 1));
  CHECK_FALSE(has_box({-0.5, 0.9}, 7, 5));
  CHECK_FALSE(has_box({0.2, 1e300}, 7, 5));
  CHECK_FALSE(has_box({std::nan(""), 0.9}, 7, 5));
}

TEST_CASE("mixing that makes no sense is refused, naming the field") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(refusal({}) == "");
  CHECK(refusal({.mixup_alpha = 0.2, .cutmix_alpha = 1, .prob = 0.5}) == "");
  CHECK(names({.mixup_alpha = -1}, "mixup_alpha, where it is not 0, must be in [1e-06, 1e+06]"));
  CHECK(names({.mixup_alpha = nan}, "mixup_alpha"));
  CHECK(names({.cutmix_alpha = 1e-9}, "cutmix_alpha"));
  CHECK(names({.mixup_alpha = 1, .prob = 1.5}, "prob must be in [0, 1], not 1.5"));
  CHECK(names({.switch_prob = nan}, "switch_prob must be in [0, 1]"));
  CHECK(names({.label_smoothing = 2}, "label_smoothing must be in [0, 1]"));
  CHECK(names({.num_classes = -1}, "num_classes must not be negative"));
  CHECK(names({.prob = 0.5}, "prob needs mixup_alpha or cutmix_alpha above 0"));
  CHECK(names({.rule = Mixing::Rule::timm}, "Rule::timm needs mixup_alpha"));
  CHECK(names({.mode = Mixing::Mode::pair}, "mode, cutmix_minmax and correct_lam are timm's"));
  CHECK(names({.correct_lam = false}, "correct_lam"));
}
