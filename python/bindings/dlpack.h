#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ringfeed/batch.h"

namespace ringfeed::python {

/// The images of each of the batch's views as a 'dltensor' capsule: shape [size, 3, H, W], the
/// strides of its layout. Takes the memory. The batch counts as held until the consumers of all
/// capsules have let go of it: on any thread, without the GIL, even after the interpreter's end.
nanobind::list images_capsules(Batch& batch);

/// int64 [size]; takes the labels. Not counted as held.
nanobind::object labels_capsule(std::vector<std::int64_t>&& labels);

/// An image in memory of its own: height * width RGB triples.
struct RgbPixels {
  int height = 0, width = 0;
  std::unique_ptr<std::uint8_t[]> rgb;
};

/// uint8 [height, width, 3]. Not counted as held.
nanobind::object pixels_capsule(RgbPixels pixels);

/// How many batches of images are held, and the bytes of their blocks. Any thread.
std::pair<std::size_t, std::size_t> held_images() noexcept;

}  // namespace ringfeed::python
