#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "augment/geometry.h"
#include "resize/resampler.h"
#include "ringfeed/transform.h"

namespace ringfeed::testing {

struct Image {
  int height = 0, width = 0;
  std::vector<std::uint8_t> rgb;
  const std::uint8_t* row(int y) const {
    return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
};

/// The image that make_golden_resample.py computes by the same formula: noise (kind 0), only 0 and
/// 255 (kind 1), or noise on ramps (kind 2).
Image synthetic_image(int kind, int height, int width);

/// Crop, both passes as plain loops over the whole crop, window and flip: [out_h, out_w, 3] bytes.
std::vector<std::uint8_t> reference_resize(const Image& image, const augment::Geometry& geometry,
                                           PillowRule rule);

/// Runs `image` through a Resampler: every row in a buffer of exactly the promised size, which is
/// overwritten after the push. The output window: [out_h, out_w, 3] bytes.
std::vector<std::uint8_t> resample(resize::Resampler& resampler, const augment::Geometry& geometry,
                                   const Image& image);

}  // namespace ringfeed::testing
