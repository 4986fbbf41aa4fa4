#pragma once

#include "data/random.h"
#include "ringfeed/shape.h"

namespace ringfeed::augment {

// The arithmetic of the steps that change an image's size, as torchvision and timm have it: in the
// same order of operations, and free of libm's functions, whose last bit differs between machines.

/// Python's int(round(x)): half to even, in the default rounding mode.
int round_half_even(double x) noexcept;

/// The whole of an image.
constexpr Box whole(Size image) { return {0, 0, image.height, image.width}; }

/// What no int holds saturates.
Size resized(const Resize& step, Size image) noexcept;

/// Whether anything but the filter is drawn.
bool is_random(const ResizeKeepRatio& step) noexcept;
Size draw_keep_ratio(const ResizeKeepRatio& step, Size image, data::RandomStream& draws) noexcept;

/// One of `choice`, without a draw where there is but one; of none, `otherwise`.
Interpolation draw_one(const std::vector<Interpolation>& choice, Interpolation otherwise,
                       data::RandomStream& draws) noexcept;

// Windows of the image; outside of it where negative or too large.

Box center_window(Size image, int height, int width) noexcept;
Box pad_window(const Pad& step, Size image) noexcept;
Box draw_resized_crop(const RandomResizedCrop& step, Size image,
                      data::RandomStream& draws) noexcept;
/// Of height 0 where the image is too small.
Box draw_random_crop(const RandomCrop& step, Size image, data::RandomStream& draws) noexcept;
Box draw_crop_or_pad(const RandomCropOrPad& step, Size image, data::RandomStream& draws) noexcept;

}  // namespace ringfeed::augment
