#pragma once

#include <array>
#include <optional>

namespace ringfeed::augment {

using Matrix = std::array<double, 6>;  ///< Pillow's a to f
using Point = std::array<double, 2>;   ///< x and y, in pixels

/// Pillow's Image.rotate(degrees, center=center), counter-clockwise; its short cuts for right
/// angles give the same pixels.
Matrix rotation(double degrees, Point center) noexcept;

/// torchvision's _get_inverse_affine_matrix; angles in degrees, turned clockwise.
Matrix inverse_affine(Point center, double degrees, Point translate, double scale,
                      Point shear) noexcept;

/// The corners of an image: top left, top right, bottom right, bottom left.
using Corners = std::array<std::array<int, 2>, 4>;

/// Pillow's a to h for which `corners`, whole x and y within the image, come from the corners of
/// the image of that size: the exact solution of torchvision's eight equations, rounded to float32
/// as torchvision's is. nullopt where they have none. Sides are below 65536.
std::optional<std::array<float, 8>> perspective_coefficients(const Corners& corners, int height,
                                                             int width) noexcept;

}  // namespace ringfeed::augment
