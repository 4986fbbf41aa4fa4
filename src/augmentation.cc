#include "ringfeed/augmentation.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

namespace ringfeed {
namespace {

std::size_t most(const Augmentation& node);

struct Most {
  std::size_t operator()(const InOrder& node) const { return max_operations(node.steps); }
  std::size_t operator()(const Shuffled& node) const { return max_operations(node.steps); }
  std::size_t operator()(const OneOf& node) const {
    std::size_t most_of_all = 0;
    for (const Augmentation& step : node.steps) most_of_all = std::max(most_of_all, most(step));
    return most_of_all;
  }
  std::size_t operator()(const auto&) const { return 1; }
};

std::size_t most(const Augmentation& node) { return std::visit(Most{}, node.step); }

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
  void drawing(const auto& node) {
    text += ' ';
    text += to_string(node.interpolation);
    numbers("", std::array<double, 3>{static_cast<double>(node.fill[0]),
                                      static_cast<double>(node.fill[1]),
                                      static_cast<double>(node.fill[2])});
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
  for (const Augmentation& node : augmentation) sum += most(node);
  return sum;
}

std::string to_string(const Augmentation& augmentation) {
  Text text;
  text.step(augmentation);
  return std::move(text.text);
}

}  // namespace ringfeed
