#include "augment/sizes.h"

#include <algorithm>
#include <initializer_list>
#include <type_traits>
#include <variant>

#include "augment/shapes.h"
#include "data/random.h"
#include "ringfeed/augmentation.h"

namespace ringfeed::augment {
namespace {

constexpr Size nothing{-1, -1};

bool is_known(Size size) { return size.height > 0 && size.width > 0; }

Size after(const Augmentation& node, Size size) noexcept;

struct After {
  Size size;

  Size operator()(const InOrder& node) const { return size_after(node.steps, size); }
  Size operator()(const Shuffled& node) const { return kept(node.steps); }
  Size operator()(const SomeOf& node) const { return kept(node.steps); }
  Size operator()(const OneOf& node) const {
    const Size first = node.steps.empty() ? size : after(node.steps[0], size);
    const auto agrees = [&](const Augmentation& step) { return after(step, size) == first; };
    return std::ranges::all_of(node.steps, agrees) ? first : Size{};
  }
  Size operator()(const Operation& node) const {
    switch (node.kind) {
      case OperationKind::resize: return at(node.values[0], node.values[1]);
      case OperationKind::crop: return at(node.values[2], node.values[3]);
      default: return size;
    }
  }
  Size operator()(const Resize& node) const {
    return is_known(size) || node.shorter == 0 ? resized(node, size) : Size{};
  }
  Size operator()(const ResizeKeepRatio& node) const {
    if (!is_known(size) || is_random(node)) return {};
    data::RandomStream none({}, 0, data::Purpose::augment);
    return draw_keep_ratio(node, size, none);
  }
  Size operator()(const Pad& node) const {
    if (!is_known(size)) return {};
    const Box window = pad_window(node, size);
    return std::min(window.height, window.width) < 1 ? nothing : Size{window.height, window.width};
  }
  Size operator()(const RandomResizedCrop& node) const { return {node.height, node.width}; }
  Size operator()(const CenterCrop& node) const { return {node.height, node.width}; }
  Size operator()(const RandomCrop& node) const { return {node.height, node.width}; }
  Size operator()(const RandomCropOrPad& node) const { return {node.height, node.width}; }
  Size operator()(const auto&) const { return size; }

  /// Of steps in any order, or of any of them: none may change it.
  Size kept(const std::vector<Augmentation>& steps) const {
    const auto keeps = [&](const Augmentation& step) { return after(step, size) == size; };
    return std::ranges::all_of(steps, keeps) ? size : Size{};
  }
  static Size at(double height, double width) {
    return {static_cast<int>(height), static_cast<int>(width)};
  }
};

Size after(const Augmentation& node, Size size) noexcept {
  if (node.probability == 0) return size;
  const Size done = std::visit(After{size}, node.step);
  return node.probability == 1 || done == size ? done : Size{};
}

template <class... Kinds>
bool has(std::span<const Augmentation> augmentation, std::initializer_list<OperationKind> kinds) {
  return std::ranges::any_of(augmentation, [&](const Augmentation& node) {
    return std::visit(
        [&]<class Step>(const Step& step) {
          if constexpr (requires { step.steps; }) {
            return has<Kinds...>(step.steps, kinds);
          } else if constexpr (std::is_same_v<Step, Operation>) {
            return std::ranges::find(kinds, step.kind) != kinds.end();
          } else {
            return (std::is_same_v<Step, Kinds> || ...);
          }
        },
        node.step);
  });
}

}  // namespace

Size size_after(std::span<const Augmentation> augmentation, Size size) noexcept {
  for (const Augmentation& node : augmentation) size = after(node, size);
  return size;
}

bool changes_size(std::span<const Augmentation> augmentation) noexcept {
  return resizes(augmentation) ||
         has<Pad, CenterCrop, RandomCrop, RandomCropOrPad>(augmentation, {OperationKind::crop});
}

bool resizes(std::span<const Augmentation> augmentation) noexcept {
  return has<RandomResizedCrop, Resize, ResizeKeepRatio>(augmentation, {OperationKind::resize});
}

}  // namespace ringfeed::augment
