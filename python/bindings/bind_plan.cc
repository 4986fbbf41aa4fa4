#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "augment/erasing.h"
#include "bindings.h"
#include "choice.h"
#include "convert.h"
#include "data/random.h"
#include "pack/packer.h"
#include "ringfeed/loader.h"
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

void init_plan(TransformPlan* self, const decltype(TransformPlan::geometry)& geometry,
               const std::string& interpolation, double hflip, bool hflip_first,
               const std::string& normalize, const std::vector<double>& mean,
               const std::vector<double>& std, const std::string& dtype, bool channels_last,
               bool pillow13, const std::vector<Augmentation>& augmentation,
               const std::optional<RandomErasing>& erasing) {
  using Flavour = Normalize::Flavour;
  TransformPlan plan;
  plan.geometry = geometry;
  plan.interpolation = choose("interpolation", interpolation, interpolations);
  plan.hflip_probability = hflip;
  plan.hflip_first = hflip_first;
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
  plan.augmentation = augmentation;
  plan.erasing = erasing;
  plan.validate();
  new (self) TransformPlan(plan);
}

void init_crop(RandomResizedCrop* self, int height, int width, Range scale, Range ratio,
               const std::vector<std::string>& filters) {
  new (self) RandomResizedCrop{height,
                               width,
                               scale.first,
                               scale.second,
                               ratio.first,
                               ratio.second,
                               chosen_interpolations(filters)};
}

template <class Geometry>
void init_resize(Geometry* self, nb::handle resize, int height, int width, int max_size) {
  Geometry geometry{.resize = 0, .height = height, .width = width, .max_size = max_size};
  if (nb::isinstance<nb::tuple>(resize)) {
    std::tie(geometry.resize_height, geometry.resize_width) = nb::cast<std::pair<int, int>>(resize);
  } else if (!resize.is_none()) {
    geometry.resize = nb::cast<int>(resize);
  }
  new (self) Geometry(geometry);
}

void init_erasing(RandomErasing* self, double probability, Range scale, Range ratio,
                  const std::vector<double>& value, const std::string& fill,
                  std::pair<int, int> count) {
  using Fill = RandomErasing::Fill;
  RandomErasing erasing{probability, scale.first, scale.second, ratio.first, ratio.second};
  set_channels(erasing.value, value, "value");
  erasing.fill = choose<Fill>(
      "fill", fill,
      {{"value", Fill::value}, {"channel_noise", Fill::channel_noise}, {"noise", Fill::noise}});
  std::tie(erasing.min_count, erasing.max_count) = count;
  new (self) RandomErasing(erasing);
}

nb::bytes noise_bytes(std::uint64_t noise_key, std::size_t box, std::size_t count) {
  Draw draw;
  draw.noise_key = noise_key;
  const std::vector<float> values = erasing_noise(draw, box, count);
  return nb::bytes(values.data(), values.size() * sizeof(float));
}

nb::object value_table(const TransformPlan& self) {
  const std::vector<std::uint32_t> table = pack::reference_table(self);
  return to_array(std::span<const std::uint32_t>(table), "uint32");
}

nb::object erased(const TransformPlan& self, std::uint64_t seed, std::uint64_t epoch,
                  const Array<std::uint64_t>& positions) {
  std::vector<std::int32_t> rows;
  std::vector<Box> boxes;
  const data::Key key = data::make_key(seed, epoch);
  const int height = self.out_height(), width = self.out_width();
  for (std::size_t i = 0; self.erasing && i < positions.size(); ++i) {
    augment::draw_erasing(*self.erasing, height, width, key, positions.data()[i], boxes);
    for (const Box& box : boxes) {
      rows.insert(rows.end(),
                  {static_cast<std::int32_t>(i), box.top, box.left, box.height, box.width});
    }
  }
  return to_array(std::span<const std::int32_t>(rows), "int32");
}

}  // namespace

void bind_plan(nb::module_& module) {
  nb::class_<RandomResizedCrop>(module, "RandomResizedCrop", nb::is_final())
      .def("__init__", init_crop, nb::arg("height"), nb::arg("width"), nb::arg("scale"),
           nb::arg("ratio"), nb::arg("interpolations") = std::vector<std::string>());
  nb::class_<ResizeCenterCrop>(module, "ResizeCenterCrop", nb::is_final())
      .def("__init__", init_resize<ResizeCenterCrop>, nb::arg("resize").none(), nb::arg("height"),
           nb::arg("width"), nb::arg("max_size") = 0);
  nb::class_<ResizeRandomCrop>(module, "ResizeRandomCrop", nb::is_final())
      .def("__init__", init_resize<ResizeRandomCrop>, nb::arg("resize").none(), nb::arg("height"),
           nb::arg("width"), nb::arg("max_size") = 0);
  nb::class_<WholeImage>(module, "WholeImage", nb::is_final()).def(nb::init<>());
  nb::class_<RandomErasing>(module, "RandomErasing", nb::is_final())
      .def("__init__", init_erasing, nb::arg("probability"), nb::arg("scale"), nb::arg("ratio"),
           nb::arg("value"), nb::arg("fill"), nb::arg("count"));
  module.def("erasing_noise", noise_bytes, nb::arg("noise_key"), nb::arg("box"), nb::arg("count"));
  nb::class_<TransformPlan>(module, "Plan", nb::is_final())
      .def("__init__", init_plan, nb::arg("geometry"), nb::kw_only(),
           nb::arg("interpolation") = "bilinear", nb::arg("hflip"), nb::arg("hflip_first") = false,
           nb::arg("normalize"), nb::arg("mean"), nb::arg("std"), nb::arg("dtype"),
           nb::arg("channels_last"), nb::arg("pillow13"),
           nb::arg("augmentation") = std::vector<Augmentation>(), nb::arg("erasing") = nb::none())
      .def("unfinished", pack::before_packing)
      .def("value_table", value_table)
      .def("erased", erased, nb::arg("seed"), nb::arg("epoch"), nb::arg("positions").noconvert())
      .def_prop_ro("height", &TransformPlan::out_height)
      .def_prop_ro("width", &TransformPlan::out_width)
      .def_prop_ro("sample_bytes", &TransformPlan::sample_bytes)
      .def_prop_ro("decodes_whole", [](const TransformPlan& self) {
        return std::holds_alternative<WholeImage>(self.geometry);
      });
}

}  // namespace ringfeed::python
