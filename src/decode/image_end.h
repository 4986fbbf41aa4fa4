#pragma once

#include <cstddef>
#include <span>

namespace ringfeed::decode {

/// How many of a file's first bytes the image takes that is decoded: of a JPEG to its EOI, of a PNG
/// to its IEND or to the second frame of an animation. 0 where `beginning` does not hold all of
/// them, or the markers leave a doubt. What follows (a phone's video, more images) need not be
/// read. Some 6 us per 100 kB; any thread.
std::size_t image_end(std::span<const std::byte> beginning) noexcept;

}  // namespace ringfeed::decode
