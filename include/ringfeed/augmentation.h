#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "ringfeed/interpolation.h"
#include "ringfeed/operation.h"
#include "ringfeed/shape.h"
#include "ringfeed/timm.h"

namespace ringfeed {

struct Augmentation;

/// One of brightness, contrast, saturation, sharpness, hue or gaussian_blur, its number uniform in
/// [low, high] and rounded to float32, as in torchvision.transforms.ColorJitter.
struct RandomAdjustment {
  OperationKind kind = OperationKind::brightness;
  double low = 1, high = 1;
};

/// torchvision.transforms.RandomRotation without expand: counter-clockwise by an angle uniform in
/// [low, high] degrees.
struct RandomRotation {
  double low = 0, high = 0;
  Interpolation interpolation = Interpolation::nearest;
  std::array<std::uint8_t, 3> fill{};
  std::optional<std::array<double, 2>> center{};  ///< x and y in pixels; nullopt: the middle
};

/// torchvision.transforms.RandomAffine: each number uniform between its two.
struct RandomAffine {
  std::array<double, 2> degrees{0, 0};    ///< turned clockwise
  std::array<double, 2> translate{0, 0};  ///< at most these parts of the width and of the height
  std::array<double, 2> scale{1, 1};
  std::array<double, 2> shear_x{0, 0}, shear_y{0, 0};  ///< degrees
  Interpolation interpolation = Interpolation::nearest;
  std::array<std::uint8_t, 3> fill{};
  std::optional<std::array<double, 2>> center{};  ///< as RandomRotation's
};

/// torchvision.transforms.RandomPerspective: each corner of the image moves inwards by whole
/// pixels, at most the part `distortion_scale` of half a side. Corners on one line, which large
/// scales make possible, are drawn anew; an image with a side of one pixel is an error.
struct RandomPerspective {
  double distortion_scale = 0.5;  ///< 0 to 1
  Interpolation interpolation = Interpolation::bilinear;
  std::array<std::uint8_t, 3> fill{};
};

/// All, one after the other; of no steps: nothing is done. torchvision.transforms.Compose.
struct InOrder {
  std::vector<Augmentation> steps;
};
/// All, in an order drawn anew for each sample. torchvision.transforms.RandomOrder.
struct Shuffled {
  std::vector<Augmentation> steps;
};
/// One of them. torchvision.transforms.RandomChoice.
struct OneOf {
  std::vector<Augmentation> steps;
  std::vector<double> weights{};  ///< a weight each; empty: all the same
};

/// `count` different ones of them, in the order in which they are chosen: each time one of those
/// left, by its weight. timm's RandAugment with choice_weights.
struct SomeOf {
  std::vector<Augmentation> steps;
  std::vector<double> weights;  ///< a weight each, `count` of them above 0
  int count = 1;
};
/// timm.data.auto_augment.AugMixAugment: `width` chains of operations, each begun with the image as
/// it was, are summed with Dirichlet weights, and the image is blended with the sum by a
/// Beta(alpha, alpha) number. Where `blended`, each chain is blended into the result instead.
struct AugMix {
  std::vector<Augmentation> steps;  ///< each link of a chain is one of them; no AugMix within
  double alpha = 1;                 ///< of both distributions, above 0
  int width = 3;                    ///< 1 to 16 chains; an image gets 64 operations at most
  int depth = 0;                    ///< links of a chain; 0: 1 to 3, drawn for each
  bool blended = false;
};

/// A step of an augmentation, a tree of plain data: what happens to the 8-bit image between the
/// plan's geometry and the normalisation. torchvision.transforms.RandomApply where `probability` is
/// below 1.
///
/// @code
/// using ringfeed::OperationKind;
/// const ringfeed::Augmentation jitter{
///     .probability = 0.8,
///     .step = ringfeed::Shuffled{{{.step = ringfeed::RandomAdjustment{
///                                      OperationKind::brightness, 0.6, 1.4}},
///                                 {.step = ringfeed::RandomAdjustment{
///                                      OperationKind::hue, -0.1, 0.1}}}}};
/// std::cout << ringfeed::to_string(jitter) << "\n";  // for TransformPlan::augmentation
/// @endcode
struct Augmentation {
  double probability = 1;
  std::variant<InOrder, Shuffled, OneOf, Operation, RandomAdjustment, RandomRotation, RandomAffine,
               RandomPerspective, SomeOf, TimmOperation, AugMix, RandomResizedCrop, Resize,
               ResizeKeepRatio, Pad, CenterCrop, RandomCrop, RandomCropOrPad>
      step{};
};

/// The most operations that one sample can get.
std::size_t max_operations(std::span<const Augmentation> augmentation) noexcept;

/// The tree in one line: equal texts give equal samples.
std::string to_string(const Augmentation& augmentation);

}  // namespace ringfeed
