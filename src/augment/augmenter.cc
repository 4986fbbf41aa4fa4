#include "augment/augmenter.h"

#include <algorithm>
#include <span>
#include <type_traits>
#include <variant>

#include "augment/affine.h"
#include "augment/canvas_limits.h"
#include "augment/change_size.h"
#include "augment/color.h"
#include "augment/draw_operations.h"
#include "augment/gaussian_blur.h"
#include "augment/sharpness.h"
#include "augment/sizes.h"
#include "base/scratch.h"
#include "resize/geometry.h"

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
  std::size_t operator()(const RandomResizedCrop& node) const { return of(node.interpolations); }
  std::size_t operator()(const ResizeKeepRatio& node) const { return of(node.interpolations); }
  std::size_t operator()(const auto&) const { return 0; }

  static std::size_t of(const std::vector<Interpolation>& all) {
    constexpr std::size_t rounding = 32;
    return all.size() * sizeof(Interpolation) + rounding;
  }
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

constexpr std::size_t scratch_rounding = 4096 + 128;  // the heap's

/// The heap's bytes for a copy.
std::size_t tree_bytes(std::span<const Augmentation> steps) noexcept {
  constexpr std::size_t rounding = 64;  // of a vector's or two
  std::size_t bytes = steps.size_bytes() + rounding;
  for (const Augmentation& node : steps) bytes += std::visit(NodeBytes{}, node.step);
  return bytes;
}

}  // namespace

Augmenter::Augmenter(const TransformPlan& plan, std::size_t max_canvas_bytes,
                     resize::Resampler& resampler)
    : augmentation_(plan.augmentation), max_canvas_bytes_(max_canvas_bytes), resampler_(resampler) {
  operations_.reserve(max_operations(augmentation_));
  const Size head = resize::head_size(plan);
  if (head.height == 0) return;  // the images decide
  for (Canvas& canvas : canvases_) canvas.reshape(head.height, head.width);
  make_room(scratch_, scratch_bytes(head.height, head.width));
  if (has_mix(augmentation_)) make_mix();
}

void Augmenter::make_mix() {
  const Size size{image().height(), image().width()};
  if (mix_size_ == size) return;
  mix_.reset();  // never two of them
  mix_.emplace(size.height, size.width);
  mix_size_ = size;
}

tl::expected<void, decode::Failure> Augmenter::begin(int height, int width, data::Key key,
                                                     std::uint64_t position) {
  auto drawn =
      draw_operations(augmentation_, height, width, key, position, max_canvas_bytes_, operations_);
  current_ = 0;  // so that not both canvases grow to the largest of the images
  if (drawn) image().reshape(height, width);
  return drawn;
}

void Augmenter::augment() {
  for (const Operation& operation : operations_) apply(operation);
}

Canvas& Augmenter::other() {
  Canvas& canvas = canvases_[1 - current_];
  canvas.reshape(image().height(), image().width());
  return canvas;
}

void Augmenter::apply(const Operation& operation) {
  switch (operation.kind) {
    case OperationKind::affine:
    case OperationKind::perspective:
      make_room(scratch_, affine_scratch(image().height(), image().width()));
      affine(operation, image(), other(), scratch_.data());
      return swap();
    case OperationKind::sharpness:
      sharpness(static_cast<float>(operation.values[0]), image(), other());
      return swap();
    case OperationKind::gaussian_blur:
      make_room(scratch_, blur_scratch(image().height(), image().width()));
      return gaussian_blur(static_cast<float>(operation.values[0]), image(), scratch_.data());
    case OperationKind::mix_begin:
      make_mix();
      return mix_->begin(image(), operation.values[0] != 0);
    case OperationKind::mix_add: return mix_->add(static_cast<float>(operation.values[0]), image());
    case OperationKind::mix_blend:
      return mix_->blend(static_cast<float>(operation.values[0]), image());
    case OperationKind::mix_end: return mix_->end(static_cast<float>(operation.values[0]), image());
    case OperationKind::crop: crop(operation, image(), canvases_[1 - current_]); return swap();
    case OperationKind::resize:
      resize_canvas(operation, image(), canvases_[1 - current_], resampler_, scratch_);
      return swap();
    default: return color(operation, image());
  }
}

bool Augmenter::has_canvases_of_any_size(const TransformPlan& plan) noexcept {
  return resize::head_size(plan).height == 0 || changes_size(plan.augmentation);
}

tl::expected<std::size_t, decode::Failure> Augmenter::need(int height, int width, data::Key key,
                                                           std::uint64_t position) {
  auto drawn =
      draw_operations(augmentation_, height, width, key, position, max_canvas_bytes_, operations_);
  if (!drawn) return tl::unexpected(std::move(drawn.error()));
  std::size_t canvas = Canvas::memory_bound(height, width), scratch = 0, mix = 0;
  std::size_t tables = 0, largest_table = 0, rows = 0;  // of the resampler
  Size size{height, width};
  for (const Operation& operation : operations_) {
    const auto number = [&](std::size_t i) { return static_cast<int>(operation.values[i]); };
    switch (operation.kind) {
      case OperationKind::crop: size = {number(2), number(3)}; break;
      case OperationKind::resize: {
        const Size to{number(0), number(1)};
        const resize::Geometry geometry = whole_resize(operation, size);
        const std::size_t table = resize::Resampler::table_need(geometry);
        tables += table;
        largest_table = std::max(largest_table, table);
        rows = std::max(rows, resampler_.need(geometry) - table);
        scratch = std::max(scratch, resize_scratch(size.width));
        size = to;
        break;
      }
      case OperationKind::mix_begin:
        mix = std::max(mix, ChainMix::memory_bound(size.height, size.width));
        break;
      default: scratch = std::max(scratch, scratch_bytes(size.height, size.width));
    }
    canvas = std::max(canvas, Canvas::memory_bound(size.height, size.width));
  }
  tables = std::min(tables, resize::Resampler::tables_kept * largest_table);
  return 2 * canvas + scratch + scratch_rounding + mix + tables + rows;
}

std::size_t Augmenter::held() const noexcept {
  return canvases_[0].held() + canvases_[1].held() + scratch_.capacity() +
         (mix_ ? mix_->held() : 0);
}

void Augmenter::release() {
  canvases_ = {};
  scratch_ = AlignedVector<std::uint8_t>();
  mix_.reset();
  mix_size_ = {};
}

std::size_t Augmenter::fixed_bytes(const TransformPlan& plan) noexcept {
  std::size_t bytes = tree_bytes(plan.augmentation) +
                      max_operations(plan.augmentation) * sizeof(Operation) + sizeof(Augmenter);
  if (has_canvases_of_any_size(plan)) return bytes;
  const Size head = resize::head_size(plan);
  if (has_mix(plan.augmentation)) bytes += ChainMix::memory_bound(head.height, head.width);
  return bytes + 2 * Canvas::memory_bound(head.height, head.width) +
         scratch_bytes(head.height, head.width) + scratch_rounding;
}

std::size_t Augmenter::most_need(const TransformPlan& plan, std::size_t max_canvas_bytes) noexcept {
  if (!has_canvases_of_any_size(plan)) return 0;
  const Size head = resize::head_size(plan);
  max_canvas_bytes = std::min(max_canvas_bytes, Canvas::bytes(max_canvas_side, max_canvas_side));
  std::size_t canvas = max_canvas_bytes + Canvas::rounding;
  if (head.height > 0) canvas = std::max(canvas, Canvas::memory_bound(head.height, head.width));
  // A pixel's 3 bytes become 4; a canvas one row high comes with borders above and below.
  const std::size_t scratch = canvas / 3 * 4 + scratch_bytes(1, max_canvas_side) +
                              scratch_bytes(max_canvas_side, 1) + scratch_rounding;
  const std::size_t mix = has_mix(plan.augmentation) ? 5 * canvas : 0;  // a float for each byte
  const std::size_t resampler =
      resizes(plan.augmentation) ? resize::Resampler::most_need(max_canvas_bytes, max_canvas_side)
                                 : 0;
  return 2 * canvas + scratch + mix + resampler;
}

}  // namespace ringfeed::augment
