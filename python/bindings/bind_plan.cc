#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "choice.h"
#include "ringfeed/transform.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

using Range = std::pair<double, double>;

void set_channels(std::array<float, 3>& channels, const std::vector<double>& values,
                  const char* what) {
  if (values.size() != channels.size()) {
    throw nb::value_error((std::string(what) + " must have 3 values, one a channel, not " +
                           std::to_string(values.size()))
                              .c_str());
  }
  for (std::size_t c = 0; c < channels.size(); ++c) channels[c] = static_cast<float>(values[c]);
}

TransformPlan finish(TransformPlan plan, double hflip, const std::string& normalize,
                     const std::vector<double>& mean, const std::vector<double>& std,
                     const std::string& dtype, bool channels_last, bool pillow13) {
  using Flavour = Normalize::Flavour;
  plan.hflip_probability = hflip;
  plan.normalize.flavour = choose<Flavour>("normalize", normalize,
                                           {{"none", Flavour::none},
                                            {"to_tensor", Flavour::to_tensor},
                                            {"to_dtype", Flavour::to_dtype}});
  set_channels(plan.normalize.mean, mean, "mean");
  set_channels(plan.normalize.std, std, "std");
  plan.dtype = choose<DType>("dtype", dtype,
                             {{"float32", DType::float32},
                              {"float16", DType::float16},
                              {"bfloat16", DType::bfloat16},
                              {"uint8", DType::uint8}});
  plan.layout = channels_last ? Layout::channels_last : Layout::nchw;
  plan.pillow = pillow13 ? PillowRule::from_13 : PillowRule::before_13;
  plan.validate();
  return plan;
}

TransformPlan random_resized_crop(int height, int width, Range scale, Range ratio, double hflip,
                                  const std::string& normalize, const std::vector<double>& mean,
                                  const std::vector<double>& std, const std::string& dtype,
                                  bool channels_last, bool pillow13) {
  TransformPlan plan;
  plan.geometry =
      RandomResizedCrop{height, width, scale.first, scale.second, ratio.first, ratio.second};
  return finish(plan, hflip, normalize, mean, std, dtype, channels_last, pillow13);
}

TransformPlan resize_center_crop(nb::handle resize, int height, int width, double hflip,
                                 const std::string& normalize, const std::vector<double>& mean,
                                 const std::vector<double>& std, const std::string& dtype,
                                 bool channels_last, bool pillow13) {
  ResizeCenterCrop geometry{0, height, width, 0, 0};
  if (nb::isinstance<nb::tuple>(resize)) {
    std::tie(geometry.resize_height, geometry.resize_width) = nb::cast<std::pair<int, int>>(resize);
  } else if (!resize.is_none()) {
    geometry.resize = nb::cast<int>(resize);
  }
  TransformPlan plan;
  plan.geometry = geometry;
  return finish(plan, hflip, normalize, mean, std, dtype, channels_last, pillow13);
}

}  // namespace

void bind_plan(nb::module_& module) {
  nb::class_<TransformPlan>(module, "Plan", nb::is_final())
      .def_static("random_resized_crop", random_resized_crop, nb::arg("height"), nb::arg("width"),
                  nb::arg("scale"), nb::arg("ratio"), nb::kw_only(), nb::arg("hflip"),
                  nb::arg("normalize"), nb::arg("mean"), nb::arg("std"), nb::arg("dtype"),
                  nb::arg("channels_last"), nb::arg("pillow13"))
      .def_static("resize_center_crop", resize_center_crop, nb::arg("resize").none(),
                  nb::arg("height"), nb::arg("width"), nb::kw_only(), nb::arg("hflip"),
                  nb::arg("normalize"), nb::arg("mean"), nb::arg("std"), nb::arg("dtype"),
                  nb::arg("channels_last"), nb::arg("pillow13"))
      .def_prop_ro("height", &TransformPlan::out_height)
      .def_prop_ro("width", &TransformPlan::out_width)
      .def_prop_ro("sample_bytes", &TransformPlan::sample_bytes);
}

}  // namespace ringfeed::python
