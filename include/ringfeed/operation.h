#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "ringfeed/interpolation.h"
#include "ringfeed/shape.h"

namespace ringfeed {

/// What can be done to the 8-bit RGB image. Each gives Pillow's bits, which are those of
/// torchvision's function of that name on a PIL image, where it has one: gaussian_blur is
/// ImageFilter.GaussianBlur, and torchvision's another. What `values` holds stands beside.
enum class OperationKind : std::uint8_t {
  hflip,          ///< nothing
  vflip,          ///< nothing
  grayscale,      ///< nothing; three equal channels
  invert,         ///< nothing
  autocontrast,   ///< nothing
  equalize,       ///< nothing
  posterize,      ///< the bits kept, 0 to 8; 0 is black, where Pillow 13 raises
  solarize,       ///< the threshold: values not below it are inverted
  brightness,     ///< the factor, 0 to 1e6, as of the next three; 1 changes nothing
  contrast,       ///< the factor
  saturation,     ///< the factor
  sharpness,      ///< the factor
  hue,            ///< the shift as a part of the circle, -0.5 to 0.5
  affine,         ///< Pillow's a to f: output (x, y) comes from (ax + by + c, dx + ey + f)
  perspective,    ///< Pillow's a to h: as affine, both divided by gx + hy + 1
  solarize_add,   ///< what is added, at most to 255, to values below 128: 0 to 128
  gaussian_blur,  ///< the radius, 0 to 1000: Pillow's ImageFilter.GaussianBlur
  // A mix of chains, which only AugMix makes: mix_begin, the chains, each closed by the next or the
  // one after it, and mix_end.
  mix_begin,  ///< 1: the mix begins as this image, the original; 0: as zeros
  mix_add,    ///< a weight: mix += weight * image, in float32; the image is the original again
  mix_blend,  ///< a factor: mix = Image.blend(mix, image, factor); the image is the original again
  mix_end,    ///< a factor: Image.blend(original, mix, factor), the mix clipped and truncated
  resize,     ///< the new height and width
  /// Top, left, height and width of a window that may reach beyond the image, then the number of
  /// the PaddingMode.
  crop,
};
/// Each with its name.
inline constexpr std::pair<std::string_view, OperationKind> operation_kinds[] = {
    {"hflip", OperationKind::hflip},
    {"vflip", OperationKind::vflip},
    {"grayscale", OperationKind::grayscale},
    {"invert", OperationKind::invert},
    {"autocontrast", OperationKind::autocontrast},
    {"equalize", OperationKind::equalize},
    {"posterize", OperationKind::posterize},
    {"solarize", OperationKind::solarize},
    {"brightness", OperationKind::brightness},
    {"contrast", OperationKind::contrast},
    {"saturation", OperationKind::saturation},
    {"sharpness", OperationKind::sharpness},
    {"hue", OperationKind::hue},
    {"affine", OperationKind::affine},
    {"perspective", OperationKind::perspective},
    {"solarize_add", OperationKind::solarize_add},
    {"gaussian_blur", OperationKind::gaussian_blur},
    {"mix_begin", OperationKind::mix_begin},
    {"mix_add", OperationKind::mix_add},
    {"mix_blend", OperationKind::mix_blend},
    {"mix_end", OperationKind::mix_end},
    {"resize", OperationKind::resize},
    {"crop", OperationKind::crop}};

std::string_view to_string(OperationKind kind) noexcept;

/// One operation with its numbers.
///
/// @code
/// using ringfeed::OperationKind;
/// const ringfeed::Operation darker{.kind = OperationKind::brightness, .values = {0.5}};
/// std::cout << to_string(darker.kind) << " " << darker.values[0] << "\n";
/// @endcode
struct Operation {
  static constexpr std::size_t max_values = 8;

  OperationKind kind = OperationKind::hflip;
  /// Of a resize any; of an affine or perspective operation nearest, bilinear or bicubic.
  Interpolation interpolation = Interpolation::nearest;
  std::array<std::uint8_t, 3> fill{};  ///< RGB where an operation looks outside the image
  std::array<double, max_values> values{};

  bool operator==(const Operation&) const = default;
};

}  // namespace ringfeed
