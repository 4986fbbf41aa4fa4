#include <doctest/doctest.h>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "ringfeed/policies.h"

namespace ringfeed {
namespace {

struct Row {
  int which;   // AutoAugmentPolicy; 100 * bins + bin of RandAugment; -bins of TrivialAugmentWide
  int choice;  // of AutoAugment's sub-policies, of TrivialAugmentWide's operations
  double probability;
  const char* name;
  double magnitude;
  bool is_signed;
};

const Row rows[] = {
#include "policies.inc"
};

const PolicyOptions options{
    .height = 160, .width = 224, .interpolation = Interpolation::bilinear, .fill = {1, 2, 3}};

/// Ours that is torch's (with AVX2 or AVX-512).
double ours(const Row& row) {
  const int bins = row.which < 0 ? -row.which : row.which < 3 ? 10 : row.which / 100;
  for (const PolicyScale& scale : policy_scales(options, bins, row.which < 0)) {
    if (scale.name != row.name) continue;
    CHECK(scale.is_signed == row.is_signed);
    if (scale.magnitudes.empty()) return 0;
    for (const double magnitude : scale.magnitudes) {
      if (magnitude == row.magnitude) return magnitude;
    }
  }
  FAIL("no magnitude of " << row.name << " is torch's " << row.magnitude);
  return 0;
}

Augmentation from(const Row& row) {
  const double magnitude = ours(row);
  Augmentation node = policy_operation(row.name, magnitude, options);
  if (row.is_signed) {
    node = {.step = OneOf{{node, policy_operation(row.name, -magnitude, options)}}};
  }
  node.probability = row.probability;
  return node;
}

/// The rows of one policy, those of each choice together.
std::vector<std::vector<Augmentation>> choices(int which) {
  std::vector<std::vector<Augmentation>> all;
  for (const Row& row : rows) {
    if (row.which != which) continue;
    all.resize(static_cast<std::size_t>(row.choice) + 1);
    all.back().push_back(from(row));
  }
  REQUIRE_FALSE(all.empty());
  return all;
}

TEST_CASE("AutoAugment's policies are torchvision's tables") {
  for (const auto policy :
       {AutoAugmentPolicy::imagenet, AutoAugmentPolicy::cifar10, AutoAugmentPolicy::svhn}) {
    OneOf wanted;
    for (auto& both : choices(static_cast<int>(policy)))
      wanted.steps.push_back({.step = InOrder{both}});
    CHECK(wanted.steps.size() == 25);
    CHECK(to_string(auto_augment(options, policy)) == to_string({.step = wanted}));
  }
}

TEST_CASE("RandAugment has torchvision's magnitudes at every number of bins") {
  for (const auto& [bins, magnitude] : {std::pair{31, 9}, {10, 3}, {11, 5}, {31, 30}}) {
    const Augmentation choice{.step = OneOf{choices(100 * bins + magnitude)[0]}};
    const Augmentation wanted{.step = InOrder{{choice, choice, choice}}};
    CHECK(to_string(rand_augment(options, 3, magnitude, bins)) == to_string(wanted));
  }
  CHECK_THROWS_AS(rand_augment(options, 2, 31), std::invalid_argument);
  CHECK_THROWS_AS(rand_augment(options, -1), std::invalid_argument);
}

TEST_CASE("TrivialAugmentWide has torchvision's magnitudes at every number of bins") {
  for (const int bins : {31, 8}) {
    OneOf wanted;
    for (auto& all : choices(-bins)) wanted.steps.push_back({.step = OneOf{all}});
    CHECK(wanted.steps.size() == 14);
    CHECK(to_string(trivial_augment_wide(options, bins)) == to_string({.step = wanted}));
  }
  CHECK_THROWS_AS(trivial_augment_wide(options, 0), std::invalid_argument);
}

TEST_CASE("an operation that no policy has is an error") {
  CHECK_THROWS_WITH_AS(policy_operation("Melt", 0, options),
                       "policy_operation: \"Melt\" is no operation of torchvision's policies",
                       std::invalid_argument);
}

}  // namespace
}  // namespace ringfeed
