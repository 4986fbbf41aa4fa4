#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/random.h"

namespace ringfeed::augment {

/// What the noise of a sample is a function of. Any thread.
std::uint64_t draw_noise_key(data::Key key, std::uint64_t position) noexcept;

/// Noise comes in groups of this many values.
inline constexpr std::size_t noise_group = 64;

/// Standard normal numbers: the groups of box `box` from `first_group` on, as many as `out` holds;
/// its size is a multiple of noise_group. Made of IEEE additions, multiplications, divisions and
/// square roots in a fixed order, so that every machine and instruction set gives the same bits.
/// Any thread.
///
/// Group g takes the blocks 16 g to 16 g + 15; block b is Philox4x32-10 of the counter (b, box, 0,
/// 0). Box and Muller's method makes two numbers of its words 0 and 1, and two of 2 and 3. Value
/// 16 k + i of the group is number k of the group's block i. The first word of a pair gives the
/// radius, the root of -2 log((w / 2 + 0.5) / 2^31): 6.66 at most. The low 30 bits of the second
/// give an angle of -45 to 45 degrees, bit 31 its cosine's sign; bit 30 exchanges cosine and sine.
void draw_noise(std::uint64_t key, std::uint32_t box, std::uint32_t first_group,
                std::span<float> out) noexcept;

/// The first `count` values of a box.
std::vector<float> noise_of_box(std::uint64_t key, std::uint32_t box, std::size_t count);

}  // namespace ringfeed::augment
