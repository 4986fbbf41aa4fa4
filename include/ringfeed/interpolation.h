#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

namespace ringfeed {

/// Pillow's filters of resize, under torchvision's names; all but nearest with antialias.
enum class Interpolation : std::uint8_t { nearest, box, bilinear, hamming, bicubic, lanczos };
/// Each with its name.
inline constexpr std::pair<std::string_view, Interpolation> interpolations[] = {
    {"nearest", Interpolation::nearest},   {"box", Interpolation::box},
    {"bilinear", Interpolation::bilinear}, {"hamming", Interpolation::hamming},
    {"bicubic", Interpolation::bicubic},   {"lanczos", Interpolation::lanczos}};

/// @code
/// for (const auto& [name, value] : ringfeed::interpolations) std::cout << name << "\n";
/// @endcode
std::string_view to_string(Interpolation interpolation) noexcept;

}  // namespace ringfeed
