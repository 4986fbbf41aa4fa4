#include "ringfeed/augmentation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace ringfeed {
namespace {

/// That any one of them can be.
std::size_t most(std::span<const Augmentation> steps) noexcept;

std::size_t times(int count, std::size_t operations) {
  return static_cast<std::size_t>(std::max(count, 0)) * operations;
}

struct Most {
  std::size_t operator()(const InOrder& node) const { return max_operations(node.steps); }
  std::size_t operator()(const Shuffled& node) const { return max_operations(node.steps); }
  std::size_t operator()(const OneOf& node) const { return most(node.steps); }
  std::size_t operator()(const SomeOf& node) const { return times(node.count, most(node.steps)); }
  std::size_t operator()(const AugMix& node) const {
    const std::size_t chain = times(node.depth > 0 ? node.depth : 3, most(node.steps)) + 1;
    return 2 + times(node.width, chain);
  }
  std::size_t operator()(const RandomResizedCrop&) const { return 2; }  // a crop and a resize
  std::size_t operator()(const auto&) const { return 1; }
};

std::size_t most(std::span<const Augmentation> steps) noexcept {
  std::size_t found = 0;
  for (const Augmentation& node : steps) found = std::max(found, std::visit(Most{}, node.step));
  return found;
}

/// Writes the shortest digits that read back as the same numbers.
class Text {
 public:
  void operator()(const InOrder& node) { list("in_order", node.steps); }
  void operator()(const Shuffled& node) { list("shuffled", node.steps); }
  void operator()(const OneOf& node) {
    list("one_of", node.steps);
    if (!node.weights.empty()) numbers("weights", node.weights);
  }
  void operator()(const Operation& node) {
    name(node.kind);
    numbers("", node.values);
    if (node.kind == OperationKind::affine || node.kind == OperationKind::perspective) {
      drawing(node);
    }
    if (node.kind == OperationKind::resize) filter(node.interpolation);
    if (node.kind == OperationKind::crop) fill(node.fill);
  }
  void operator()(const RandomAdjustment& node) {
    name(node.kind);
    numbers("random", std::array{node.low, node.high});
  }
  void operator()(const RandomRotation& node) {
    numbers("random_rotation", std::array{node.low, node.high});
    center(node.center);
    drawing(node);
  }
  void operator()(const RandomAffine& node) {
    text += "random_affine";
    for (const auto& pair :
         {node.degrees, node.translate, node.scale, node.shear_x, node.shear_y}) {
      numbers("", pair);
    }
    center(node.center);
    drawing(node);
  }
  void operator()(const RandomPerspective& node) {
    numbers("random_perspective", std::array{node.distortion_scale});
    drawing(node);
  }
  void operator()(const SomeOf& node) {
    list("some_of", node.steps);
    numbers("weights", node.weights);
    numbers("count", std::array<double, 1>{static_cast<double>(node.count)});
  }
  void operator()(const TimmOperation& node) {
    for (const auto& [name, kind] : timm_operation_kinds) {
      if (kind == node.kind) text += "timm " + std::string(name);
    }
    numbers("", std::array{node.magnitude, node.magnitude_std, node.magnitude_max, node.translate});
    for (const Interpolation interpolation : node.interpolations) {
      text += ' ';
      text += to_string(interpolation);
    }
    fill(node.fill);
  }
  void operator()(const AugMix& node) {
    list(node.blended ? "aug_mix blended" : "aug_mix", node.steps);
    numbers("", std::array{node.alpha, static_cast<double>(node.width),
                           static_cast<double>(node.depth)});
  }
  void operator()(const RandomResizedCrop& node) {
    numbers("random_resized_crop",
            std::array<double, 6>{double(node.height), double(node.width), node.scale_min,
                                  node.scale_max, node.ratio_min, node.ratio_max});
    filters(node.interpolations);
  }
  void operator()(const Resize& node) {
    whole_numbers("resize", {node.shorter, node.max_size, node.height, node.width});
    filter(node.interpolation);
  }
  void operator()(const ResizeKeepRatio& node) {
    whole_numbers("resize_keep_ratio", {node.height, node.width});
    numbers("", std::array{node.longest, node.scale_probability, node.scale_min, node.scale_max,
                           node.aspect_probability, node.aspect_min, node.aspect_max});
    if (node.scale_is_area) text += " area";
    filters(node.interpolations);
  }
  void operator()(const Pad& node) {
    whole_numbers("pad", {node.left, node.top, node.right, node.bottom});
    outside(node.outside);
  }
  void operator()(const CenterCrop& node) {
    whole_numbers("center_crop", {node.height, node.width});
    outside(node.outside);
  }
  void operator()(const RandomCrop& node) {
    whole_numbers("random_crop",
                  {node.height, node.width, node.left, node.top, node.right, node.bottom});
    if (node.pad_if_needed) text += " pad_if_needed";
    outside(node.outside);
  }
  void operator()(const RandomCropOrPad& node) {
    whole_numbers("random_crop_or_pad", {node.height, node.width});
    outside(node.outside);
  }
  void step(const Augmentation& node) {
    if (node.probability != 1) {
      numbers("p", std::array{node.probability});
      text += ' ';
    }
    std::visit(*this, node.step);
  }

  std::string text;

 private:
  void list(std::string_view kind, std::span<const Augmentation> steps) {
    text += kind;
    text += '[';
    for (const Augmentation& node : steps) {
      if (&node != steps.data()) text += ", ";
      step(node);
    }
    text += ']';
  }
  void numbers(std::string_view what, std::span<const double> values) {
    text += what;
    text += '(';
    std::array<char, 32> digits{};
    // The numbers that an operation does not have are zeros at the end.
    const auto last =
        std::ranges::find_if(values.rbegin(), values.rend(), [](double v) { return v != 0; });
    for (auto value = values.begin(); value != last.base(); ++value) {
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), *value);
      if (value != values.begin()) text += ' ';
      text.append(digits.data(), end.ptr);
    }
    text += ')';
  }
  void name(OperationKind kind) { text += to_string(kind); }
  void center(const std::optional<std::array<double, 2>>& point) {
    if (point) numbers("about", *point);
  }
  void fill(const std::array<std::uint8_t, 3>& color) {
    numbers("", std::array<double, 3>{static_cast<double>(color[0]), static_cast<double>(color[1]),
                                      static_cast<double>(color[2])});
  }
  void whole_numbers(std::string_view what, std::initializer_list<int> values) {
    const std::vector<double> all(values.begin(), values.end());
    numbers(what, all);
  }
  void filter(Interpolation interpolation) {
    text += ' ';
    text += to_string(interpolation);
  }
  void filters(std::span<const Interpolation> interpolations) {
    for (const Interpolation interpolation : interpolations) filter(interpolation);
  }
  void drawing(const auto& node) {
    filter(node.interpolation);
    fill(node.fill);
  }
  void outside(const Padding& padding) {
    text += ' ';
    text += to_string(padding.mode);
    fill(padding.fill);
  }
};

}  // namespace

std::string_view to_string(OperationKind kind) noexcept {
  for (const auto& [name, value] : operation_kinds) {
    if (value == kind) return name;
  }
  return "unknown";
}

std::size_t max_operations(std::span<const Augmentation> augmentation) noexcept {
  std::size_t sum = 0;
  for (const Augmentation& node : augmentation) sum += std::visit(Most{}, node.step);
  return sum;
}

std::string to_string(const Augmentation& augmentation) {
  Text text;
  text.step(augmentation);
  return std::move(text.text);
}

}  // namespace ringfeed
