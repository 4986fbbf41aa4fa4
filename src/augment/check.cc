#include "augment/check.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>

#include "augment/gaussian_blur.h"
#include "augment/mixing.h"
#include "augment/sizes.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {
namespace {

// More are a mistake; a row of draws has room for all of a sample's.
constexpr std::size_t most_operations = 64;

[[noreturn]] void refuse(std::string_view what, const std::string& why) {
  throw std::invalid_argument("TransformPlan: augmentation, " + std::string(what) + ": " + why);
}

void require(bool condition, std::string_view what, const std::string& why) {
  if (!condition) refuse(what, why);
}

bool is_range(double low, double high) {
  return std::isfinite(low) && std::isfinite(high) && low <= high;
}

void check_drawing(std::string_view what, Interpolation interpolation) {
  require(interpolation == Interpolation::nearest || interpolation == Interpolation::bilinear ||
              interpolation == Interpolation::bicubic,
          what,
          "interpolation must be nearest, bilinear or bicubic, not " +
              std::string(to_string(interpolation)));
}

void check_center(std::string_view what, const std::optional<std::array<double, 2>>& center) {
  require(!center || (std::isfinite((*center)[0]) && std::isfinite((*center)[1])), what,
          "center must be two finite numbers");
}

void check_side(std::string_view what, int pixels, const std::string& name) {
  require(pixels >= 1 && pixels <= TransformPlan::max_side, what,
          name + " must be in [1, " + std::to_string(TransformPlan::max_side) + "]");
}

void check_sides(std::string_view what, int height, int width) {
  check_side(what, height, "height");
  check_side(what, width, "width");
}

void check_ends(std::string_view what, double low, double high, const std::string& name) {
  require(is_range(low, high) && low > 0, what,
          "0 < " + name + "_min <= " + name + "_max must hold");
}

void check_value(OperationKind kind, double value) {
  const std::string_view name = to_string(kind);
  switch (kind) {
    case OperationKind::posterize:
      return require(value >= 0 && value <= 8 && value == std::nearbyint(value), name,
                     "bits must be a whole number in [0, 8]");
    case OperationKind::solarize:
      return require(std::isfinite(value), name, "the threshold must be finite");
    case OperationKind::brightness:
    case OperationKind::contrast:
    case OperationKind::saturation:
    case OperationKind::sharpness:
      // A blend computes in float.
      return require(value >= 0 && value <= 1e6, name, "the factor must be in [0, 1e6]");
    case OperationKind::hue:
      return require(value >= -0.5 && value <= 0.5, name, "the shift must be in [-0.5, 0.5]");
    case OperationKind::solarize_add:
      return require(value >= 0 && value <= 128 && value == std::nearbyint(value), name,
                     "the addend must be a whole number in [0, 128]");
    case OperationKind::gaussian_blur:
      return require(value >= 0 && value <= largest_blur_radius, name,
                     "the radius must be in [0, 1000]");
    default: return;
  }
}

struct Check {
  bool within_mix = false;

  void operator()(const InOrder& node) const { all(node.steps); }
  void operator()(const Shuffled& node) const {
    require(node.steps.size() <= max_shuffled, "shuffled",
            "at most " + std::to_string(max_shuffled) + " steps are possible");
    all(node.steps);
  }
  void operator()(const OneOf& node) const { choice("one of", node.steps, node.weights); }
  void operator()(const SomeOf& node) const {
    const auto possible = std::ranges::count_if(node.weights, [](double w) { return w > 0; });
    require(node.count >= 0 && node.count <= possible, "some of",
            "count must be at most that of the weights above 0");
    require(node.steps.size() <= max_shuffled, "some of",
            "there can be " + std::to_string(max_shuffled) + " steps");
    choice("some of", node.steps, node.weights);
  }
  void operator()(const TimmOperation& node) const {
    require(std::isfinite(node.magnitude) && node.magnitude_std >= 0, "timm's",
            "magnitude must be finite, and magnitude_std 0 or more");
    require(node.magnitude_max >= 0 && node.magnitude_max <= 1e4, "timm's",
            "magnitude_max must be in [0, 1e4]");
    require(std::isfinite(node.translate), "timm's", "translate must be finite");
    require(!node.interpolations.empty(), "timm's", "there must be an interpolation");
    for (const Interpolation interpolation : node.interpolations) {
      check_drawing("timm's", interpolation);
    }
  }
  void operator()(const AugMix& node) const {
    require(!within_mix, "aug_mix", "there can be none within another");
    require(!node.steps.empty(), "aug_mix", "there must be a step to choose");
    require(!changes_size(node.steps), "aug_mix", "no step within it may change the size");
    // A draw of Beta wants this range.
    require(node.alpha >= 1e-100 && node.alpha <= 1e300, "aug_mix", "alpha must be above 0");
    require(node.width >= 1 && node.width <= static_cast<int>(max_chains) && node.depth >= 0,
            "aug_mix",
            "width must be in [1, " + std::to_string(max_chains) + "], and depth 0 or more");
    Check{.within_mix = true}.all(node.steps);
  }
  void operator()(const Operation& node) const {
    switch (node.kind) {
      case OperationKind::mix_begin:
      case OperationKind::mix_add:
      case OperationKind::mix_blend:
      case OperationKind::mix_end: refuse(to_string(node.kind), "only AugMix makes it");
      default: break;
    }
    check_value(node.kind, node.values[0]);
    if (node.kind == OperationKind::resize || node.kind == OperationKind::crop) {
      return check_numbers(to_string(node.kind), node);
    }
    if (node.kind != OperationKind::affine && node.kind != OperationKind::perspective) return;
    const std::string_view name = to_string(node.kind);
    check_drawing(name, node.interpolation);
    require(std::ranges::all_of(node.values, [](double v) { return std::isfinite(v); }), name,
            "the numbers must be finite");
  }
  void operator()(const RandomAdjustment& node) const {
    const std::string_view name = to_string(node.kind);
    switch (node.kind) {
      case OperationKind::brightness:
      case OperationKind::contrast:
      case OperationKind::saturation:
      case OperationKind::sharpness:
      case OperationKind::hue:
      case OperationKind::gaussian_blur: break;
      default: refuse(name, "no factor of it can be drawn");
    }
    require(is_range(node.low, node.high), name, "low <= high must hold");
    check_value(node.kind, node.low);
    check_value(node.kind, node.high);
  }
  void operator()(const RandomRotation& node) const {
    check_drawing("rotation", node.interpolation);
    check_center("rotation", node.center);
    check_angles("rotation", "degrees", node.low, node.high);
  }
  void operator()(const RandomAffine& node) const {
    check_drawing("affine", node.interpolation);
    check_center("affine", node.center);
    check_angles("affine", "degrees", node.degrees[0], node.degrees[1]);
    check_angles("affine", "shear_x", node.shear_x[0], node.shear_x[1]);
    check_angles("affine", "shear_y", node.shear_y[0], node.shear_y[1]);
    for (const double part : node.translate) {
      require(part >= 0 && part <= 1, "affine", "translate must be in [0, 1]");
    }
    require(is_range(node.scale[0], node.scale[1]) && node.scale[0] > 0, "affine",
            "0 < scale[0] <= scale[1] must hold");
  }
  void operator()(const RandomPerspective& node) const {
    check_drawing("perspective", node.interpolation);
    require(node.distortion_scale >= 0 && node.distortion_scale <= 1, "perspective",
            "distortion_scale must be in [0, 1]");
  }
  void operator()(const RandomResizedCrop& node) const {
    check_sides("random resized crop", node.height, node.width);
    check_ends("random resized crop", node.scale_min, node.scale_max, "scale");
    check_ends("random resized crop", node.ratio_min, node.ratio_max, "ratio");
  }
  void operator()(const Resize& node) const {
    if (node.shorter == 0) {
      require(node.max_size == 0, "resize", "max_size needs the shorter side's length");
      return check_sides("resize", node.height, node.width);
    }
    check_side("resize", node.shorter, "shorter");
    require(node.max_size == 0 || node.max_size > node.shorter, "resize",
            "max_size must be above shorter, or 0");
  }
  void operator()(const ResizeKeepRatio& node) const {
    const std::string_view name = "resize keep ratio";
    check_sides(name, node.height, node.width);
    for (const double share : {node.longest, node.scale_probability, node.aspect_probability}) {
      require(share >= 0 && share <= 1, name, "longest and probabilities must be in [0, 1]");
    }
    require(!node.interpolations.empty(), name, "there must be an interpolation");
    check_ends(name, node.scale_min, node.scale_max, "scale");
    check_ends(name, node.aspect_min, node.aspect_max, "aspect");
  }
  void operator()(const Pad& node) const {
    for (const int side : {node.left, node.top, node.right, node.bottom}) {
      require(std::abs(side) <= TransformPlan::max_side, "pad",
              "padding must be at most " + std::to_string(TransformPlan::max_side));
      require(side >= 0 || node.outside.mode == PaddingMode::constant, "pad",
              "padding below 0 goes with constant padding alone");
    }
  }
  void operator()(const CenterCrop& node) const {
    check_sides("center crop", node.height, node.width);
  }
  void operator()(const RandomCrop& node) const {
    check_sides("random crop", node.height, node.width);
    for (const int side : {node.left, node.top, node.right, node.bottom}) {
      require(side >= 0 && side <= TransformPlan::max_side, "random crop",
              "padding must be in [0, " + std::to_string(TransformPlan::max_side) + "]");
    }
  }
  void operator()(const RandomCropOrPad& node) const {
    check_sides("random crop or pad", node.height, node.width);
  }
  void choice(std::string_view what, std::span<const Augmentation> steps,
              std::span<const double> weights) const {
    require(!steps.empty(), what, "there must be a step to choose");
    require(weights.empty() || weights.size() == steps.size(), what,
            "there must be a weight for each step, or none");
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    require(std::ranges::all_of(weights, [](double w) { return w >= 0; }) &&
                (weights.empty() || (total > 0 && std::isfinite(total))),
            what, "weights must be 0 or more, one of them above 0, and their sum finite");
    all(steps);
  }
  void all(std::span<const Augmentation> steps) const {
    for (const Augmentation& step : steps) {
      require(step.probability >= 0 && step.probability <= 1, "probability", "must be in [0, 1]");
      std::visit(*this, step.step);
    }
  }
  /// Of a resize or a crop.
  static void check_numbers(std::string_view what, const Operation& node) {
    const bool crops = node.kind == OperationKind::crop;
    for (const double v : std::span(node.values).first(crops ? 5 : 2)) {
      require(v == std::nearbyint(v) && std::abs(v) <= 1 << 20, what,
              "the numbers must be whole, and at most a million");
    }
    if (crops) {
      require(node.values[4] >= 0 && node.values[4] <= 3, what, "there is no such padding mode");
    }
    const std::size_t at = crops ? 2 : 0;
    check_sides(what, static_cast<int>(node.values[at]), static_cast<int>(node.values[at + 1]));
  }
  /// What trigonometry here takes.
  static void check_angles(std::string_view what, const std::string& name, double low,
                           double high) {
    constexpr double most_degrees = 1e6;
    require(is_range(low, high) && low >= -most_degrees && high <= most_degrees, what,
            name + " must be low <= high, of at most a million");
  }
};

}  // namespace

void check(std::span<const Augmentation> augmentation) {
  Check{}.all(augmentation);
  require(max_operations(augmentation) <= most_operations, "steps",
          "a sample can get " + std::to_string(max_operations(augmentation)) +
              " operations, and at most " + std::to_string(most_operations) +
              " are possible: take fewer steps, layers or chains");
}

}  // namespace ringfeed::augment
