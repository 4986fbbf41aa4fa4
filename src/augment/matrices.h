#pragma once

#include <array>

namespace ringfeed::augment {

using Matrix = std::array<double, 6>;  ///< Pillow's a to f
using Point = std::array<double, 2>;   ///< x and y, in pixels

/// Pillow's Image.rotate(degrees, center=center), counter-clockwise; its short cuts for right
/// angles give the same pixels.
Matrix rotation(double degrees, Point center) noexcept;

/// torchvision's _get_inverse_affine_matrix; angles in degrees, turned clockwise.
Matrix inverse_affine(Point center, double degrees, Point translate, double scale,
                      Point shear) noexcept;

}  // namespace ringfeed::augment
