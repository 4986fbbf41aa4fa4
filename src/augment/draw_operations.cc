#include "augment/draw_operations.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "augment/canvas_limits.h"
#include "augment/check.h"
#include "augment/matrices.h"
#include "augment/mixing.h"
#include "augment/shapes.h"
#include "augment/timm_operation.h"

namespace ringfeed::augment {
namespace {

/// Walks the tree, and draws on its way. What has no alternative draws nothing.
class Walk {
 public:
  Walk(int height, int width, data::RandomStream draws, std::size_t max_canvas_bytes,
       std::vector<Operation>& operations)
      : height_(height),
        width_(width),
        draws_(draws),
        max_canvas_bytes_(max_canvas_bytes),
        operations_(operations) {}

  void all(std::span<const Augmentation> steps) {
    for (const Augmentation& step : steps) one(step);
  }

  /// The walk takes no step after it.
  std::optional<decode::Failure> failure;

  void operator()(const InOrder& node) { all(node.steps); }

  void operator()(const Shuffled& node) {
    std::array<std::uint8_t, max_shuffled> places{};  // check() asks for no more
    const auto order = std::span(places).first(node.steps.size());
    std::iota(order.begin(), order.end(), std::uint8_t{0});
    for (std::size_t left = order.size(); left > 1; --left) {
      std::swap(order[left - 1], order[draws_.bounded(left)]);
    }
    for (const std::size_t i : order) one(node.steps[i]);
  }

  void operator()(const OneOf& node) {
    if (node.weights.empty()) return one(node.steps[draws_.bounded(node.steps.size())]);
    one(node.steps[choose(node.weights)]);
  }

  void operator()(const Operation& operation) {
    const auto number = [&](std::size_t i) { return static_cast<int>(operation.values[i]); };
    if (operation.kind == OperationKind::crop) {
      return become(operation, {number(2), number(3)}, "crop");
    }
    if (operation.kind == OperationKind::resize) {
      return resize({number(0), number(1)}, operation.interpolation, "resize");
    }
    operations_.push_back(operation);
  }

  void operator()(const RandomResizedCrop& node) {
    crop(draw_resized_crop(node, size(), draws_), {}, "RandomResizedCrop");
    const auto filter = draw_one(node.interpolations, Interpolation::bilinear, draws_);
    resize({node.height, node.width}, filter, "RandomResizedCrop");
  }
  void operator()(const Resize& node) {
    resize(resized(node, size()), node.interpolation, "Resize");
  }
  void operator()(const ResizeKeepRatio& node) {
    const Size drawn = draw_keep_ratio(node, size(), draws_);
    resize(drawn, draw_one(node.interpolations, Interpolation::bilinear, draws_),
           "ResizeKeepRatio");
  }
  void operator()(const Pad& node) { crop(pad_window(node, size()), node.outside, "Pad"); }
  void operator()(const CenterCrop& node) {
    crop(center_window(size(), node.height, node.width), node.outside, "CenterCrop");
  }
  void operator()(const RandomCrop& node) {
    const Box window = draw_random_crop(node, size(), draws_);
    if (window.height == 0) {
      failure = too_small(size(), node.height, node.width, "RandomCrop");
      return;
    }
    crop(window, node.outside, "RandomCrop");
  }
  void operator()(const RandomCropOrPad& node) {
    crop(draw_crop_or_pad(node, size(), draws_), node.outside, "RandomCropOrPad");
  }

  void operator()(const RandomAdjustment& node) {
    operations_.push_back({.kind = node.kind, .values = {uniform(node.low, node.high)}});
  }

  void operator()(const RandomRotation& node) {
    const double angle = uniform(node.low, node.high);
    push(node, rotation(angle, node.center.value_or(Point{width_ / 2.0, height_ / 2.0})));
  }

  void operator()(const RandomAffine& node) {
    const double angle = uniform(node.degrees[0], node.degrees[1]);
    const auto pixels = [&](double part, int side) {
      return std::nearbyint(uniform(-part * side, part * side));
    };
    const double x = pixels(node.translate[0], width_), y = pixels(node.translate[1], height_);
    const double scale = uniform(node.scale[0], node.scale[1]);
    const double shear_x = uniform(node.shear_x[0], node.shear_x[1]);
    const double shear_y = uniform(node.shear_y[0], node.shear_y[1]);
    const Point center = node.center.value_or(Point{width_ * 0.5, height_ * 0.5});
    push(node, inverse_affine(center, angle, {x, y}, scale, {shear_x, shear_y}));
  }

  void operator()(const RandomPerspective& node) {
    if (width_ < 2 || height_ < 2) {
      failure = too_small(size(), 2, 2, "RandomPerspective");
      return;
    }
    const auto most = [&](int side) {
      const int half = side / 2;
      return static_cast<int>(node.distortion_scale * half);
    };
    const int most_x = most(width_), most_y = most(height_);
    const auto inwards = [&](int limit) {
      return static_cast<int>(draws_.bounded(static_cast<std::uint64_t>(limit) + 1));
    };
    for (;;) {
      Corners corners{};
      for (std::size_t i = 0; i < 4; ++i) {
        const int x = inwards(most_x), y = inwards(most_y);
        corners[i] = {i == 1 || i == 2 ? width_ - 1 - x : x, i >= 2 ? height_ - 1 - y : y};
      }
      if (const auto values = perspective_coefficients(corners, height_, width_)) {
        Operation operation{OperationKind::perspective, node.interpolation, node.fill, {}};
        std::ranges::copy(*values, operation.values.begin());
        return operations_.push_back(operation);
      }
    }
  }

  void operator()(const SomeOf& node) {
    std::array<std::uint8_t, max_shuffled> places{};
    std::array<double, max_shuffled> weights{};
    std::size_t left = node.steps.size();
    std::iota(places.begin(), places.begin() + left, std::uint8_t{0});
    std::ranges::copy(node.weights, weights.begin());
    for (int i = 0; i < node.count; ++i, --left) {
      const std::size_t chosen = choose(std::span(weights).first(left));
      one(node.steps[places[chosen]]);
      std::copy(places.begin() + chosen + 1, places.begin() + left, places.begin() + chosen);
      std::copy(weights.begin() + chosen + 1, weights.begin() + left, weights.begin() + chosen);
    }
  }

  void operator()(const TimmOperation& node) {
    operations_.push_back(draw_timm_operation(node, height_, width_, draws_));
  }

  void operator()(const AugMix& node) {
    std::array<float, max_chains> all{};
    const auto weights = std::span(all).first(static_cast<std::size_t>(node.width));
    draw_dirichlet(draws_, node.alpha, weights);
    const float share = draw_beta(draws_, node.alpha);
    if (node.blended) to_blending_factors(weights, share);
    const auto push = [&](OperationKind kind, double value) {
      operations_.push_back({.kind = kind, .values = {value}});
    };
    push(OperationKind::mix_begin, node.blended ? 1 : 0);
    for (const float weight : weights) {
      const int depth = node.depth > 0 ? node.depth : 1 + static_cast<int>(draws_.bounded(3));
      for (int i = 0; i < depth; ++i) one(node.steps[draws_.bounded(node.steps.size())]);
      push(node.blended ? OperationKind::mix_blend : OperationKind::mix_add, weight);
    }
    push(OperationKind::mix_end, node.blended ? 1.0 : share);
  }

 private:
  /// Factors by which images, blended into one after the other, end up with share * weights.
  static void to_blending_factors(std::span<float> weights, float share) {
    float left = 1;
    for (std::size_t i = weights.size(); i-- > 0;) {
      const float part = weights[i] * share;
      weights[i] = left > 0 ? std::clamp(part / left, 0.0f, 1.0f) : 0;
      left *= 1 - weights[i];
    }
  }

  std::size_t choose(std::span<const double> weights) {
    const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
    double rest = draws_.uniform() * total;
    std::size_t last = 0;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (weights[i] == 0) continue;
      last = i;
      rest -= weights[i];
      if (rest < 0) break;
    }
    return last;  // rounding may leave a rest behind the last
  }

  Size size() const { return {height_, width_}; }

  // `step` is the node's name, for failures.

  void crop(Box window, const Padding& outside, std::string_view step) {
    become({.kind = OperationKind::crop,
            .fill = outside.fill,
            .values = {static_cast<double>(window.top), static_cast<double>(window.left),
                       static_cast<double>(window.height), static_cast<double>(window.width),
                       static_cast<double>(outside.mode)}},
           {window.height, window.width}, step);
  }
  void resize(Size to, Interpolation interpolation, std::string_view step) {
    if (failure) return;
    // What is between the two passes counts too.
    failure = check_canvas({height_, to.width}, max_canvas_bytes_, "within", step);
    if (failure) return;
    become({.kind = OperationKind::resize,
            .interpolation = interpolation,
            .values = {static_cast<double>(to.height), static_cast<double>(to.width)}},
           to, step);
  }
  void become(const Operation& operation, Size to, std::string_view step) {
    failure = check_canvas(to, max_canvas_bytes_, "behind", step);
    height_ = to.height;
    width_ = to.width;
    operations_.push_back(operation);
  }

  void one(const Augmentation& node) {
    if (failure) return;
    if (node.probability < 1 && draws_.uniform() >= node.probability) return;
    std::visit(*this, node.step);
  }

  /// torch's uniform_ fills float32 tensors.
  double uniform(double low, double high) {
    return static_cast<float>(low == high ? low : low + draws_.uniform() * (high - low));
  }

  void push(const auto& node, const Matrix& matrix) {
    Operation operation{
        .kind = OperationKind::affine, .interpolation = node.interpolation, .fill = node.fill};
    std::ranges::copy(matrix, operation.values.begin());
    operations_.push_back(operation);
  }

  int height_, width_;
  data::RandomStream draws_;
  std::size_t max_canvas_bytes_;
  std::vector<Operation>& operations_;
};

}  // namespace

tl::expected<void, decode::Failure> draw_operations(std::span<const Augmentation> augmentation,
                                                    int height, int width, data::Key key,
                                                    std::uint64_t position,
                                                    std::size_t max_canvas_bytes,
                                                    std::vector<Operation>& operations) {
  operations.clear();
  data::RandomStream draws(key, position, data::Purpose::augment);
  Walk walk(height, width, draws, max_canvas_bytes, operations);
  walk.all(augmentation);
  if (walk.failure) return tl::unexpected(std::move(*walk.failure));
  return {};
}

}  // namespace ringfeed::augment
