#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "ringfeed/interpolation.h"

namespace ringfeed {

/// An image's sides, in pixels; both 0 where they are not known.
struct Size {
  int height = 0, width = 0;

  bool operator==(const Size&) const = default;
};

/// A rectangle of an image, in pixels.
struct Box {
  int top = 0, left = 0, height = 0, width = 0;

  bool operator==(const Box&) const = default;
};

/// What lies beyond an image's border, under torchvision's names: one colour, the last pixel, or
/// the image mirrored, without that pixel (reflect) or with it (symmetric), over and over.
enum class PaddingMode : std::uint8_t { constant, edge, reflect, symmetric };
/// Each with its name.
inline constexpr std::pair<std::string_view, PaddingMode> padding_modes[] = {
    {"constant", PaddingMode::constant},
    {"edge", PaddingMode::edge},
    {"reflect", PaddingMode::reflect},
    {"symmetric", PaddingMode::symmetric}};

/// @code
/// for (const auto& [name, value] : ringfeed::padding_modes) std::cout << name << "\n";
/// @endcode
std::string_view to_string(PaddingMode mode) noexcept;

struct Padding {
  PaddingMode mode = PaddingMode::constant;
  std::array<std::uint8_t, 3> fill{};  ///< RGB of the one colour
};

/// torchvision.transforms.RandomResizedCrop: ten tries of area and log-uniform ratio, then the
/// central fallback.
struct RandomResizedCrop {
  int height = 224;
  int width = 224;
  double scale_min = 0.08, scale_max = 1.0;
  double ratio_min = 3.0 / 4.0, ratio_max = 4.0 / 3.0;
  /// Of the resize: one of these, drawn for each sample. Empty: TransformPlan::interpolation; in an
  /// augmentation bilinear.
  std::vector<Interpolation> interpolations{};
};

/// torchvision.transforms.Resize.
struct Resize {
  int shorter = 256;          ///< the shorter side's new length; 0: see height
  int height = 0, width = 0;  ///< with shorter = 0: stretched to exactly this size
  /// With shorter > 0: where the longer side would become longer, it becomes this long; above
  /// shorter. 0: as long as it likes.
  int max_size = 0;
  Interpolation interpolation = Interpolation::bilinear;
};

/// timm's ResizeKeepRatio. The ratio of the image's sides to height and width becomes
/// longest * the larger + (1 - longest) * the smaller, but for the factors that are drawn.
struct ResizeKeepRatio {
  int height = 224, width = 224;
  double longest = 0;                                                  ///< in [0, 1]
  std::vector<Interpolation> interpolations{Interpolation::bilinear};  ///< one of them is drawn
  double scale_probability = 0, scale_min = 0.85, scale_max = 1.05;
  bool scale_is_area = false;  ///< the factor is 1 / sqrt(drawn): a part of the area that is kept
  double aspect_probability = 0, aspect_min = 0.9, aspect_max = 1.11;
};

/// torchvision.transforms.Pad: so many pixels more on each side, or fewer where negative, which
/// goes with PaddingMode::constant alone.
struct Pad {
  int left = 0, top = 0, right = 0, bottom = 0;
  Padding outside{};
};

/// torchvision.transforms.CenterCrop, and timm's CenterCropOrPad, which pads with more than zeros.
struct CenterCrop {
  int height = 224, width = 224;
  Padding outside{};
};

/// torchvision.transforms.RandomCrop. An image that is smaller in spite of its padding is an error.
struct RandomCrop {
  int height = 224, width = 224;
  int left = 0, top = 0, right = 0, bottom = 0;  ///< pixels of padding on each side, 0 or more
  /// A side that is still shorter by n gets n pixels more on each end.
  bool pad_if_needed = false;
  Padding outside{};
};

/// timm's RandomCropOrPad: a random place within the image, or of the image within the crop.
struct RandomCropOrPad {
  int height = 224, width = 224;
  Padding outside{};
};

}  // namespace ringfeed
