#include "augment/augmenter.h"

#include <algorithm>
#include <span>
#include <type_traits>
#include <variant>

#include "augment/affine.h"
#include "augment/color.h"
#include "augment/draw_operations.h"
#include "augment/gaussian_blur.h"
#include "augment/sharpness.h"

namespace ringfeed::augment {
namespace {

std::size_t tree_bytes(std::span<const Augmentation> steps) noexcept;

struct NodeBytes {
  std::size_t operator()(const InOrder& node) const { return tree_bytes(node.steps); }
  std::size_t operator()(const Shuffled& node) const { return tree_bytes(node.steps); }
  std::size_t operator()(const OneOf& node) const {
    return tree_bytes(node.steps) + node.weights.size() * sizeof(double);
  }
  std::size_t operator()(const SomeOf& node) const {
    return tree_bytes(node.steps) + node.weights.size() * sizeof(double);
  }
  std::size_t operator()(const AugMix& node) const { return tree_bytes(node.steps); }
  std::size_t operator()(const TimmOperation& node) const {
    constexpr std::size_t rounding = 32;
    return node.interpolations.size() * sizeof(Interpolation) + rounding;
  }
  std::size_t operator()(const auto&) const { return 0; }
};

bool has_mix(std::span<const Augmentation> steps) noexcept {
  return std::ranges::any_of(steps, [](const Augmentation& node) {
    return std::visit(
        []<class Node>(const Node& step) {
          if constexpr (requires { step.steps; }) {
            return std::is_same_v<Node, AugMix> || has_mix(step.steps);
          } else {
            return false;
          }
        },
        node.step);
  });
}

/// Of what operations that need it use, one after the other.
std::size_t scratch_bytes(int height, int width) noexcept {
  return std::max(affine_scratch(height, width), blur_scratch(height, width));
}

/// The heap's bytes for a copy.
std::size_t tree_bytes(std::span<const Augmentation> steps) noexcept {
  constexpr std::size_t rounding = 64;  // of a vector's or two
  std::size_t bytes = steps.size_bytes() + rounding;
  for (const Augmentation& node : steps) bytes += std::visit(NodeBytes{}, node.step);
  return bytes;
}

}  // namespace

Augmenter::Augmenter(const TransformPlan& plan)
    : augmentation_(plan.augmentation),
      canvases_{Canvas(plan.out_height(), plan.out_width()),
                Canvas(plan.out_height(), plan.out_width())},
      scratch_(scratch_bytes(plan.out_height(), plan.out_width())) {
  operations_.reserve(max_operations(augmentation_));
  if (has_mix(augmentation_)) mix_.emplace(image().height(), image().width());
}

void Augmenter::augment(data::Key key, std::uint64_t position) {
  const Canvas& canvas = image();
  draw_operations(augmentation_, canvas.height(), canvas.width(), key, position, operations_);
  for (const Operation& operation : operations_) apply(operation);
}

void Augmenter::apply(const Operation& operation) {
  switch (operation.kind) {
    case OperationKind::affine:
    case OperationKind::perspective:
      affine(operation, image(), other(), scratch_.data());
      current_ = 1 - current_;
      return;
    case OperationKind::sharpness:
      sharpness(static_cast<float>(operation.values[0]), image(), other());
      current_ = 1 - current_;
      return;
    case OperationKind::gaussian_blur:
      return gaussian_blur(static_cast<float>(operation.values[0]), image(), scratch_.data());
    case OperationKind::mix_begin: return mix_->begin(image(), operation.values[0] != 0);
    case OperationKind::mix_add: return mix_->add(static_cast<float>(operation.values[0]), image());
    case OperationKind::mix_blend:
      return mix_->blend(static_cast<float>(operation.values[0]), image());
    case OperationKind::mix_end: return mix_->end(static_cast<float>(operation.values[0]), image());
    default: return color(operation, image());
  }
}

std::size_t Augmenter::memory_bound(const TransformPlan& plan) noexcept {
  const int height = plan.out_height(), width = plan.out_width();
  constexpr std::size_t rounding = 4096 + 128;  // the heap's, of the scratch memory
  return 2 * Canvas::memory_bound(height, width) + scratch_bytes(height, width) + rounding +
         (has_mix(plan.augmentation) ? ChainMix::memory_bound(height, width) : 0) +
         tree_bytes(plan.augmentation) + max_operations(plan.augmentation) * sizeof(Operation) +
         sizeof(Augmenter);
}

}  // namespace ringfeed::augment
