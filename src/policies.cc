#include "ringfeed/policies.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "augment/fixed_trigonometry.h"
#include "augment/matrices.h"

namespace ringfeed {
namespace {

using augment::Matrix;
using augment::Point;

/// An operation of a policy: its probability and the bin of its magnitude; no bin: it has none.
struct Part {
  std::string_view name;
  double probability;
  int bin;
};
constexpr int none = -1;
using SubPolicy = std::array<Part, 2>;

// torchvision's tables, in its order.
constexpr SubPolicy imagenet[] = {
    {{{"Posterize", 0.4, 8}, {"Rotate", 0.6, 9}}},
    {{{"Solarize", 0.6, 5}, {"AutoContrast", 0.6, none}}},
    {{{"Equalize", 0.8, none}, {"Equalize", 0.6, none}}},
    {{{"Posterize", 0.6, 7}, {"Posterize", 0.6, 6}}},
    {{{"Equalize", 0.4, none}, {"Solarize", 0.2, 4}}},
    {{{"Equalize", 0.4, none}, {"Rotate", 0.8, 8}}},
    {{{"Solarize", 0.6, 3}, {"Equalize", 0.6, none}}},
    {{{"Posterize", 0.8, 5}, {"Equalize", 1.0, none}}},
    {{{"Rotate", 0.2, 3}, {"Solarize", 0.6, 8}}},
    {{{"Equalize", 0.6, none}, {"Posterize", 0.4, 6}}},
    {{{"Rotate", 0.8, 8}, {"Color", 0.4, 0}}},
    {{{"Rotate", 0.4, 9}, {"Equalize", 0.6, none}}},
    {{{"Equalize", 0.0, none}, {"Equalize", 0.8, none}}},
    {{{"Invert", 0.6, none}, {"Equalize", 1.0, none}}},
    {{{"Color", 0.6, 4}, {"Contrast", 1.0, 8}}},
    {{{"Rotate", 0.8, 8}, {"Color", 1.0, 2}}},
    {{{"Color", 0.8, 8}, {"Solarize", 0.8, 7}}},
    {{{"Sharpness", 0.4, 7}, {"Invert", 0.6, none}}},
    {{{"ShearX", 0.6, 5}, {"Equalize", 1.0, none}}},
    {{{"Color", 0.4, 0}, {"Equalize", 0.6, none}}},
    {{{"Equalize", 0.4, none}, {"Solarize", 0.2, 4}}},
    {{{"Solarize", 0.6, 5}, {"AutoContrast", 0.6, none}}},
    {{{"Invert", 0.6, none}, {"Equalize", 1.0, none}}},
    {{{"Color", 0.6, 4}, {"Contrast", 1.0, 8}}},
    {{{"Equalize", 0.8, none}, {"Equalize", 0.6, none}}},
};
constexpr SubPolicy cifar10[] = {
    {{{"Invert", 0.1, none}, {"Contrast", 0.2, 6}}},
    {{{"Rotate", 0.7, 2}, {"TranslateX", 0.3, 9}}},
    {{{"Sharpness", 0.8, 1}, {"Sharpness", 0.9, 3}}},
    {{{"ShearY", 0.5, 8}, {"TranslateY", 0.7, 9}}},
    {{{"AutoContrast", 0.5, none}, {"Equalize", 0.9, none}}},
    {{{"ShearY", 0.2, 7}, {"Posterize", 0.3, 7}}},
    {{{"Color", 0.4, 3}, {"Brightness", 0.6, 7}}},
    {{{"Sharpness", 0.3, 9}, {"Brightness", 0.7, 9}}},
    {{{"Equalize", 0.6, none}, {"Equalize", 0.5, none}}},
    {{{"Contrast", 0.6, 7}, {"Sharpness", 0.6, 5}}},
    {{{"Color", 0.7, 7}, {"TranslateX", 0.5, 8}}},
    {{{"Equalize", 0.3, none}, {"AutoContrast", 0.4, none}}},
    {{{"TranslateY", 0.4, 3}, {"Sharpness", 0.2, 6}}},
    {{{"Brightness", 0.9, 6}, {"Color", 0.2, 8}}},
    {{{"Solarize", 0.5, 2}, {"Invert", 0.0, none}}},
    {{{"Equalize", 0.2, none}, {"AutoContrast", 0.6, none}}},
    {{{"Equalize", 0.2, none}, {"Equalize", 0.6, none}}},
    {{{"Color", 0.9, 9}, {"Equalize", 0.6, none}}},
    {{{"AutoContrast", 0.8, none}, {"Solarize", 0.2, 8}}},
    {{{"Brightness", 0.1, 3}, {"Color", 0.7, 0}}},
    {{{"Solarize", 0.4, 5}, {"AutoContrast", 0.9, none}}},
    {{{"TranslateY", 0.9, 9}, {"TranslateY", 0.7, 9}}},
    {{{"AutoContrast", 0.9, none}, {"Solarize", 0.8, 3}}},
    {{{"Equalize", 0.8, none}, {"Invert", 0.1, none}}},
    {{{"TranslateY", 0.7, 9}, {"AutoContrast", 0.9, none}}},
};
constexpr SubPolicy svhn[] = {
    {{{"ShearX", 0.9, 4}, {"Invert", 0.2, none}}},
    {{{"ShearY", 0.9, 8}, {"Invert", 0.7, none}}},
    {{{"Equalize", 0.6, none}, {"Solarize", 0.6, 6}}},
    {{{"Invert", 0.9, none}, {"Equalize", 0.6, none}}},
    {{{"Equalize", 0.6, none}, {"Rotate", 0.9, 3}}},
    {{{"ShearX", 0.9, 4}, {"AutoContrast", 0.8, none}}},
    {{{"ShearY", 0.9, 8}, {"Invert", 0.4, none}}},
    {{{"ShearY", 0.9, 5}, {"Solarize", 0.2, 6}}},
    {{{"Invert", 0.9, none}, {"AutoContrast", 0.8, none}}},
    {{{"Equalize", 0.6, none}, {"Rotate", 0.9, 3}}},
    {{{"ShearX", 0.9, 4}, {"Solarize", 0.3, 3}}},
    {{{"ShearY", 0.8, 8}, {"Invert", 0.7, none}}},
    {{{"Equalize", 0.9, none}, {"TranslateY", 0.6, 6}}},
    {{{"Invert", 0.9, none}, {"Equalize", 0.6, none}}},
    {{{"Contrast", 0.3, 3}, {"Rotate", 0.8, 4}}},
    {{{"Invert", 0.8, none}, {"TranslateY", 0.0, 2}}},
    {{{"ShearY", 0.7, 6}, {"Solarize", 0.4, 8}}},
    {{{"Invert", 0.6, none}, {"Rotate", 0.8, 4}}},
    {{{"ShearY", 0.3, 7}, {"TranslateX", 0.9, 3}}},
    {{{"ShearX", 0.1, 6}, {"Invert", 0.6, none}}},
    {{{"Solarize", 0.7, 2}, {"TranslateY", 0.6, 7}}},
    {{{"ShearY", 0.8, 4}, {"Invert", 0.8, none}}},
    {{{"ShearX", 0.7, 9}, {"TranslateY", 0.8, 3}}},
    {{{"ShearY", 0.8, 5}, {"AutoContrast", 0.7, none}}},
    {{{"ShearX", 0.7, 2}, {"Invert", 0.1, none}}},
};

/// torch.linspace: float32, from both ends to the middle, each number rounded once: torch's build
/// for AVX2 and later fuses the multiplication with the addition. The product is exact in double.
float linspace(double first, double last, int bins, int bin) {
  const auto low = static_cast<float>(first), high = static_cast<float>(last);
  if (bins == 1) return low;
  const double step = (high - low) / static_cast<float>(bins - 1);
  return static_cast<float>(bin < bins / 2 ? low + step * bin : high - step * (bins - 1 - bin));
}

std::vector<double> evenly(double first, double last, int bins) {
  std::vector<double> all;
  for (int bin = 0; bin < bins; ++bin) all.push_back(linspace(first, last, bins, bin));
  return all;
}

/// Posterize's: 8 bits and down from there, by `most` in all.
std::vector<double> bits(int most, int bins) {
  std::vector<double> all;
  const auto per_bit = static_cast<float>(static_cast<double>(bins - 1) / most);
  for (int bin = 0; bin < bins; ++bin) {
    all.push_back(bins == 1 ? 8 : 8 - std::nearbyint(static_cast<float>(bin) / per_bit));
  }
  return all;
}

/// With the magnitude of one bin.
Augmentation at(const PolicyScale& scale, int bin, const PolicyOptions& options) {
  const double magnitude =
      scale.magnitudes.empty() ? 0 : scale.magnitudes[static_cast<std::size_t>(bin)];
  if (!scale.is_signed) return policy_operation(scale.name, magnitude, options);
  return {.step = OneOf{{policy_operation(scale.name, magnitude, options),
                         policy_operation(scale.name, -magnitude, options)}}};
}

std::span<const SubPolicy> table(AutoAugmentPolicy policy) {
  switch (policy) {
    case AutoAugmentPolicy::imagenet: return imagenet;
    case AutoAugmentPolicy::cifar10: return cifar10;
    case AutoAugmentPolicy::svhn: return svhn;
  }
  throw std::invalid_argument("auto_augment: policy must be imagenet, cifar10 or svhn");
}

Operation drawn(const Matrix& matrix, const PolicyOptions& options) {
  Operation operation{
      .kind = OperationKind::affine, .interpolation = options.interpolation, .fill = options.fill};
  std::ranges::copy(matrix, operation.values.begin());
  return operation;
}

Operation sheared(double x, double y, const PolicyOptions& options) {
  const auto to_degrees = [](double part) { return augment::degrees(augment::atan_fixed(part)); };
  return drawn(augment::inverse_affine({0, 0}, 0, {0, 0}, 1, {to_degrees(x), to_degrees(y)}),
               options);
}

Operation moved(double x, double y, const PolicyOptions& options) {
  const Point center{options.width * 0.5, options.height * 0.5};
  return drawn(augment::inverse_affine(center, 0, {std::trunc(x), std::trunc(y)}, 1, {0, 0}),
               options);
}

}  // namespace

std::vector<PolicyScale> policy_scales(const PolicyOptions& options, int num_magnitude_bins,
                                       bool wide) {
  const int n = num_magnitude_bins;
  const auto part = [&](int side) { return wide ? 32.0 : 150.0 / 331.0 * side; };
  const double shear = wide ? 0.99 : 0.3, degrees = wide ? 135 : 30, factor = wide ? 0.99 : 0.9;
  std::vector<double> thresholds = options.v2 ? evenly(1, 0, n) : evenly(255, 0, n);
  if (options.v2) {
    for (double& threshold : thresholds) threshold *= 255;
  }
  return {
      {"Identity", {}},
      {"ShearX", evenly(0, shear, n), true},
      {"ShearY", evenly(0, shear, n), true},
      {"TranslateX", evenly(0, part(options.width), n), true},
      {"TranslateY", evenly(0, part(options.height), n), true},
      {"Rotate", evenly(0, degrees, n), true},
      {"Brightness", evenly(0, factor, n), true},
      {"Color", evenly(0, factor, n), true},
      {"Contrast", evenly(0, factor, n), true},
      {"Sharpness", evenly(0, factor, n), true},
      {"Posterize", bits(wide ? 6 : 4, n)},
      {"Solarize", thresholds},
      {"AutoContrast", {}},
      {"Equalize", {}},
      {"Invert", {}},
  };
}

Augmentation policy_operation(std::string_view name, double magnitude,
                              const PolicyOptions& options) {
  using enum OperationKind;
  if (!std::isfinite(magnitude)) {
    throw std::invalid_argument("policy_operation: the magnitude of " + std::string(name) +
                                " must be finite");
  }
  const auto is = [&](std::string_view other) { return name == other; };
  const auto plain = [](OperationKind kind, double value = 0) {
    return Augmentation{.step = Operation{.kind = kind, .values = {value}}};
  };
  if (is("Identity")) return {};
  if (is("ShearX")) return {.step = sheared(magnitude, 0, options)};
  if (is("ShearY")) return {.step = sheared(0, magnitude, options)};
  if (is("TranslateX")) return {.step = moved(magnitude, 0, options)};
  if (is("TranslateY")) return {.step = moved(0, magnitude, options)};
  if (is("Rotate")) {
    const Point center{options.width / 2.0, options.height / 2.0};
    return {.step = drawn(augment::rotation(magnitude, center), options)};
  }
  if (is("Brightness")) return plain(brightness, 1 + magnitude);
  if (is("Color")) return plain(saturation, 1 + magnitude);
  if (is("Contrast")) return plain(contrast, 1 + magnitude);
  if (is("Sharpness")) return plain(sharpness, 1 + magnitude);
  if (is("Posterize")) return plain(posterize, std::trunc(magnitude));
  if (is("Solarize")) return plain(solarize, magnitude);
  if (is("AutoContrast")) return plain(autocontrast);
  if (is("Equalize")) return plain(equalize);
  if (is("Invert")) return plain(invert);
  throw std::invalid_argument("policy_operation: \"" + std::string(name) +
                              "\" is no operation of torchvision's policies");
}

Augmentation auto_augment(const PolicyOptions& options, AutoAugmentPolicy policy) {
  constexpr int bins = 10;
  const std::vector<PolicyScale> scales = policy_scales(options, bins, false);
  OneOf choices;
  for (const SubPolicy& parts : table(policy)) {
    InOrder both;
    for (const Part& part : parts) {
      const PolicyScale& scale = *std::ranges::find(scales, part.name, &PolicyScale::name);
      both.steps.push_back(at(scale, part.bin, options));
      both.steps.back().probability = part.probability;
    }
    choices.steps.push_back({.step = std::move(both)});
  }
  return {.step = std::move(choices)};
}

Augmentation rand_augment(const PolicyOptions& options, int num_ops, int magnitude,
                          int num_magnitude_bins) {
  if (num_ops < 0 || magnitude < 0 || magnitude >= num_magnitude_bins) {
    throw std::invalid_argument(
        "rand_augment: num_ops must be 0 or more, and magnitude in [0, num_magnitude_bins)");
  }
  OneOf choices;
  for (const PolicyScale& scale : policy_scales(options, num_magnitude_bins, false)) {
    if (scale.name != "Invert") choices.steps.push_back(at(scale, magnitude, options));
  }
  InOrder all;
  for (int i = 0; i < num_ops; ++i) all.steps.push_back({.step = choices});
  return {.step = std::move(all)};
}

Augmentation trivial_augment_wide(const PolicyOptions& options, int num_magnitude_bins) {
  if (num_magnitude_bins < 1) {
    throw std::invalid_argument("trivial_augment_wide: num_magnitude_bins must be at least 1");
  }
  OneOf choices;
  for (const PolicyScale& scale : policy_scales(options, num_magnitude_bins, true)) {
    if (scale.name == "Invert") continue;
    OneOf magnitudes;
    const int bins = scale.magnitudes.empty() ? 1 : num_magnitude_bins;
    for (int bin = 0; bin < bins; ++bin) magnitudes.steps.push_back(at(scale, bin, options));
    choices.steps.push_back({.step = std::move(magnitudes)});
  }
  return {.step = std::move(choices)};
}

}  // namespace ringfeed
