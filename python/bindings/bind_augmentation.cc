#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "augment/check.h"
#include "augment/sizes.h"
#include "bindings.h"
#include "choice.h"
#include "ringfeed/augmentation.h"
#include "ringfeed/policies.h"
#include "ringfeed/transform.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

using Steps = std::vector<Augmentation>;
using Pair = std::array<double, 2>;
using Fill = std::array<std::uint8_t, 3>;
using Center = std::optional<Pair>;

Augmentation applied(Augmentation step, double probability) {
  step.probability *= probability;
  return step;
}

Augmentation in_order(const Steps& steps) { return {.step = InOrder{steps}}; }

Augmentation shuffled(const Steps& steps) { return {.step = Shuffled{steps}}; }

Augmentation one_of(const Steps& steps, const std::vector<double>& weights) {
  return {.step = OneOf{steps, weights}};
}

Augmentation operation(const std::string& kind, double value) {
  return {.step = Operation{.kind = choose("kind", kind, operation_kinds), .values = {value}}};
}

Augmentation random_adjustment(const std::string& kind, Pair range) {
  return {.step = RandomAdjustment{choose("kind", kind, operation_kinds), range[0], range[1]}};
}

Augmentation random_rotation(Pair degrees, const std::string& interpolation, const Fill& fill,
                             const Center& center) {
  return {.step =
              RandomRotation{degrees[0], degrees[1],
                             choose("interpolation", interpolation, interpolations), fill, center}};
}

Augmentation random_affine(Pair degrees, Pair translate, Pair scale, Pair shear_x, Pair shear_y,
                           const std::string& interpolation, const Fill& fill,
                           const Center& center) {
  return {.step =
              RandomAffine{degrees, translate, scale, shear_x, shear_y,
                           choose("interpolation", interpolation, interpolations), fill, center}};
}

Augmentation random_perspective(double distortion_scale, const std::string& interpolation,
                                const Fill& fill) {
  return {.step = RandomPerspective{distortion_scale,
                                    choose("interpolation", interpolation, interpolations), fill}};
}

Augmentation some_of(const Steps& steps, int count, const std::vector<double>& weights) {
  return {.step = SomeOf{steps, weights, count}};
}

Augmentation timm_operation(const std::string& name, double magnitude, double magnitude_std,
                            double magnitude_max, double translate,
                            const std::vector<std::string>& names, const Fill& fill) {
  return {.step =
              TimmOperation{choose("name", name, timm_operation_kinds), magnitude, magnitude_std,
                            magnitude_max, translate, chosen_interpolations(names), fill}};
}

Augmentation aug_mix(const Steps& steps, double alpha, int width, int depth, bool blended) {
  return {.step = AugMix{steps, alpha, width, depth, blended}};
}

using Sides = std::array<int, 2>;

Padding outside(const std::string& mode, const Fill& fill) {
  return {choose("padding_mode", mode, padding_modes), fill};
}

Augmentation resized_crop(const RandomResizedCrop& crop) { return {.step = crop}; }

Augmentation resize(nb::handle size, int max_size, const std::string& interpolation) {
  Resize step{.shorter = 0,
              .max_size = max_size,
              .interpolation = choose("interpolation", interpolation, interpolations)};
  if (nb::isinstance<nb::tuple>(size)) {
    std::tie(step.height, step.width) = nb::cast<std::pair<int, int>>(size);
  } else {
    step.shorter = nb::cast<int>(size);
  }
  return {.step = step};
}

Augmentation resize_keep_ratio(Sides size, double longest, const std::vector<std::string>& filters,
                               double scale_probability, Pair scale, bool scale_is_area,
                               double aspect_probability, Pair aspect) {
  return {.step = ResizeKeepRatio{.height = size[0],
                                  .width = size[1],
                                  .longest = longest,
                                  .interpolations = chosen_interpolations(filters),
                                  .scale_probability = scale_probability,
                                  .scale_min = scale[0],
                                  .scale_max = scale[1],
                                  .scale_is_area = scale_is_area,
                                  .aspect_probability = aspect_probability,
                                  .aspect_min = aspect[0],
                                  .aspect_max = aspect[1]}};
}

Augmentation pad(std::array<int, 4> sides, const std::string& mode, const Fill& fill) {
  return {.step = Pad{sides[0], sides[1], sides[2], sides[3], outside(mode, fill)}};
}

Augmentation center_crop(Sides size, const std::string& mode, const Fill& fill) {
  return {.step = CenterCrop{size[0], size[1], outside(mode, fill)}};
}

Augmentation random_crop(Sides size, std::array<int, 4> padding, bool pad_if_needed,
                         const std::string& mode, const Fill& fill) {
  return {.step = RandomCrop{size[0], size[1], padding[0], padding[1], padding[2], padding[3],
                             pad_if_needed, outside(mode, fill)}};
}

Augmentation random_crop_or_pad(Sides size, const std::string& mode, const Fill& fill) {
  return {.step = RandomCropOrPad{size[0], size[1], outside(mode, fill)}};
}

std::optional<Sides> bound_size_after(const Augmentation& step, std::optional<Sides> size) {
  const Size before = size ? Size{(*size)[0], (*size)[1]} : Size{};
  const Size after = augment::size_after({&step, 1}, before);
  if (after == Size{}) return std::nullopt;
  return Sides{after.height, after.width};
}

Augmentation from_policy(const std::string& name, double magnitude, int height, int width,
                         const std::string& interpolation, const Fill& fill) {
  return policy_operation(name, magnitude,
                          {.height = height,
                           .width = width,
                           .interpolation = choose("interpolation", interpolation, interpolations),
                           .fill = fill});
}

/// (name, magnitudes, signed) of each operation.
nb::list scales(int height, int width, int bins, bool wide, bool v2) {
  nb::list all;
  for (const PolicyScale& scale :
       policy_scales({.height = height, .width = width, .v2 = v2}, bins, wide)) {
    all.append(nb::make_tuple(std::string(scale.name), scale.magnitudes, scale.is_signed));
  }
  return all;
}

}  // namespace

void bind_augmentation(nb::module_& module) {
  nb::class_<Augmentation>(module, "Augmentation", nb::is_final())
      .def("check", [](const Augmentation& self) { augment::check({&self, 1}); })
      .def("__str__", [](const Augmentation& self) { return to_string(self); })
      .def("size_after", bound_size_after, nb::arg("size").none())
      .def_prop_ro("max_operations",
                   [](const Augmentation& self) { return max_operations({&self, 1}); });
  module.def("applied", applied, nb::arg("step"), nb::arg("probability"));
  module.def("in_order", in_order, nb::arg("steps"));
  module.def("shuffled", shuffled, nb::arg("steps"));
  module.def("one_of", one_of, nb::arg("steps"), nb::arg("weights") = std::vector<double>());
  module.def("operation", operation, nb::arg("kind"), nb::arg("value") = 0.0);
  module.def("random_adjustment", random_adjustment, nb::arg("kind"), nb::arg("range"));
  module.def("random_rotation", random_rotation, nb::arg("degrees"), nb::arg("interpolation"),
             nb::arg("fill"), nb::arg("center").none());
  module.def("random_affine", random_affine, nb::arg("degrees"), nb::arg("translate"),
             nb::arg("scale"), nb::arg("shear_x"), nb::arg("shear_y"), nb::arg("interpolation"),
             nb::arg("fill"), nb::arg("center").none());
  module.def("random_perspective", random_perspective, nb::arg("distortion_scale"),
             nb::arg("interpolation"), nb::arg("fill"));
  module.def("some_of", some_of, nb::arg("steps"), nb::arg("count"), nb::arg("weights"));
  module.def("timm_operation", timm_operation, nb::arg("name"), nb::arg("magnitude"),
             nb::arg("magnitude_std"), nb::arg("magnitude_max"), nb::arg("translate"),
             nb::arg("interpolations"), nb::arg("fill"));
  module.def("aug_mix", aug_mix, nb::arg("steps"), nb::arg("alpha"), nb::arg("width"),
             nb::arg("depth"), nb::arg("blended"));
  module.def("resized_crop", resized_crop, nb::arg("crop"));
  module.def("resize", resize, nb::arg("size"), nb::arg("max_size"), nb::arg("interpolation"));
  module.def("resize_keep_ratio", resize_keep_ratio, nb::arg("size"), nb::arg("longest"),
             nb::arg("interpolations"), nb::arg("scale_probability"), nb::arg("scale"),
             nb::arg("scale_is_area"), nb::arg("aspect_probability"), nb::arg("aspect"));
  module.def("pad", pad, nb::arg("sides"), nb::arg("padding_mode"), nb::arg("fill"));
  module.def("center_crop", center_crop, nb::arg("size"), nb::arg("padding_mode"), nb::arg("fill"));
  module.def("random_crop", random_crop, nb::arg("size"), nb::arg("padding"),
             nb::arg("pad_if_needed"), nb::arg("padding_mode"), nb::arg("fill"));
  module.def("random_crop_or_pad", random_crop_or_pad, nb::arg("size"), nb::arg("padding_mode"),
             nb::arg("fill"));
  module.def("policy_scales", scales, nb::arg("height"), nb::arg("width"),
             nb::arg("num_magnitude_bins"), nb::arg("wide"), nb::arg("v2"));
  module.def("policy_operation", from_policy, nb::arg("name"), nb::arg("magnitude"),
             nb::arg("height"), nb::arg("width"), nb::arg("interpolation"), nb::arg("fill"));
}

}  // namespace ringfeed::python
