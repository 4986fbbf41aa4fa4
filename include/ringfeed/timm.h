#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "ringfeed/interpolation.h"

namespace ringfeed {

/// The operations of timm's policies, timm.data.auto_augment.NAME_TO_OP.
enum class TimmOperationKind : std::uint8_t {
  auto_contrast,
  equalize,
  invert,
  rotate,
  posterize,
  posterize_increasing,
  posterize_original,
  solarize,
  solarize_increasing,
  solarize_add,
  color,
  color_increasing,
  contrast,
  contrast_increasing,
  brightness,
  brightness_increasing,
  sharpness,
  sharpness_increasing,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  translate_x_rel,
  translate_y_rel,
  desaturate,
  gaussian_blur,
  gaussian_blur_rand
};
/// Each under timm's name.
inline constexpr std::pair<std::string_view, TimmOperationKind> timm_operation_kinds[] = {
    {"AutoContrast", TimmOperationKind::auto_contrast},
    {"Equalize", TimmOperationKind::equalize},
    {"Invert", TimmOperationKind::invert},
    {"Rotate", TimmOperationKind::rotate},
    {"Posterize", TimmOperationKind::posterize},
    {"PosterizeIncreasing", TimmOperationKind::posterize_increasing},
    {"PosterizeOriginal", TimmOperationKind::posterize_original},
    {"Solarize", TimmOperationKind::solarize},
    {"SolarizeIncreasing", TimmOperationKind::solarize_increasing},
    {"SolarizeAdd", TimmOperationKind::solarize_add},
    {"Color", TimmOperationKind::color},
    {"ColorIncreasing", TimmOperationKind::color_increasing},
    {"Contrast", TimmOperationKind::contrast},
    {"ContrastIncreasing", TimmOperationKind::contrast_increasing},
    {"Brightness", TimmOperationKind::brightness},
    {"BrightnessIncreasing", TimmOperationKind::brightness_increasing},
    {"Sharpness", TimmOperationKind::sharpness},
    {"SharpnessIncreasing", TimmOperationKind::sharpness_increasing},
    {"ShearX", TimmOperationKind::shear_x},
    {"ShearY", TimmOperationKind::shear_y},
    {"TranslateX", TimmOperationKind::translate_x},
    {"TranslateY", TimmOperationKind::translate_y},
    {"TranslateXRel", TimmOperationKind::translate_x_rel},
    {"TranslateYRel", TimmOperationKind::translate_y_rel},
    {"Desaturate", TimmOperationKind::desaturate},
    {"GaussianBlur", TimmOperationKind::gaussian_blur},
    {"GaussianBlurRand", TimmOperationKind::gaussian_blur_rand}};

/// timm.data.auto_augment.AugmentOp, whose probability is that of the Augmentation around it. The
/// magnitude is drawn, then limited to [0, magnitude_max]; what it means depends on the kind. A
/// sign, a choice of interpolation and GaussianBlurRand's radius are drawn besides.
///
/// @code
/// const ringfeed::TimmOperation rotation{.kind = ringfeed::TimmOperationKind::rotate,
///                                        .magnitude = 9,
///                                        .magnitude_std = 0.5};
/// std::cout << rotation.magnitude << "\n";  // an Augmentation's step
/// @endcode
struct TimmOperation {
  TimmOperationKind kind = TimmOperationKind::auto_contrast;
  double magnitude = 10;
  /// Standard deviation of normal noise; infinity: uniform in [0, magnitude]; 0: none.
  double magnitude_std = 0;
  double magnitude_max = 10;
  /// At a magnitude of 10: pixels of translate_x and _y, a part of the side of the other two.
  double translate = 0.45;
  /// One of them each time: nearest, bilinear or bicubic.
  std::vector<Interpolation> interpolations{Interpolation::bilinear, Interpolation::bicubic};
  std::array<std::uint8_t, 3> fill{128, 128, 128};
};

}  // namespace ringfeed
