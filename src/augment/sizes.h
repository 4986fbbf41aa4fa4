#pragma once

#include <span>

#include "ringfeed/augmentation.h"

namespace ringfeed::augment {

/// What an image of `size` becomes; not known where that differs from draw to draw, below 0 where
/// nothing is left of it.
Size size_after(std::span<const Augmentation> augmentation, Size size) noexcept;

/// Whether any step can change the size of an image.
bool changes_size(std::span<const Augmentation> augmentation) noexcept;

/// Whether any step can resize.
bool resizes(std::span<const Augmentation> augmentation) noexcept;

}  // namespace ringfeed::augment
