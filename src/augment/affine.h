#pragma once

#include <cstddef>
#include <cstdint>

#include "augment/canvas.h"
#include "ringfeed/operation.h"

namespace ringfeed::augment {

/// Pillow's Image.transform(size, AFFINE, values, interpolation, fillcolor=fill) of `from` into
/// `to`, another canvas of the same size; with PERSPECTIVE, where that is the operation's kind.
/// `scratch` holds affine_scratch(height, width) bytes, at any address. Numbers that Pillow casts
/// to an int that does not hold them, NaN among them, give what they give on x86.
void affine(const Operation& operation, const Canvas& from, Canvas& to, std::uint8_t* scratch);

/// The bytes of scratch memory that affine() needs.
std::size_t affine_scratch(int height, int width) noexcept;

}  // namespace ringfeed::augment
