#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <vector>

#include "ringfeed/loader.h"

namespace ringfeed::python {

/// Draws as a NumPy array of the fields position, index, top, left, height, width and hflip; of
/// `operations` where the plan has an augmentation, as many as a sample can get; and of `erased`
/// where it has an erasing: top, left, height and width of as many boxes as a sample can get, those
/// behind its last of height 0; and of `noise_key` where it fills them with noise. Of several plans
/// the rows have what any of them needs.
nanobind::object draw_array(const std::vector<Draw>& draws,
                            const std::vector<TransformPlan>& plans);

}  // namespace ringfeed::python
