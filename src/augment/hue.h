#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfeed::augment {

/// Pillow's RGB to HSV, `shift` added to the hue modulo 256, and back, of `height` rows whose
/// planes are `stride` bytes apart, a multiple of 16.
void hue(std::uint8_t* rows, std::size_t stride, int height, std::uint8_t shift);

}  // namespace ringfeed::augment
