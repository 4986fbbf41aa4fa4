#include "ringfeed/transform.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "augment/check.h"
#include "augment/sizes.h"
#include "resize/geometry.h"

namespace ringfeed {
namespace {

void require(bool condition, const std::string& what) {
  if (!condition) throw std::invalid_argument("TransformPlan: " + what);
}

bool is_side(int pixels) { return pixels >= 1 && pixels <= TransformPlan::max_side; }

const std::string range = " must be in [1, " + std::to_string(TransformPlan::max_side) + "]";

struct CheckGeometry {
  void operator()(const RandomResizedCrop& crop) const {
    check_output(crop);
    require(crop.scale_min > 0 && crop.scale_min <= crop.scale_max && std::isfinite(crop.scale_max),
            "0 < scale_min <= scale_max < infinity must hold");
    require(crop.ratio_min > 0 && crop.ratio_min <= crop.ratio_max && std::isfinite(crop.ratio_max),
            "0 < ratio_min <= ratio_max < infinity must hold");
  }
  void operator()(const WholeImage&) const {}
  void operator()(const auto& crop) const {
    check_output(crop);
    const bool exact = crop.resize_height != 0 || crop.resize_width != 0;
    require(crop.resize == 0 || is_side(crop.resize),
            "resize" + range + ", or 0 for resize_height and resize_width");
    require(crop.max_size == 0 || (crop.resize > 0 && crop.max_size > crop.resize),
            "max_size must be above resize, or 0");
    require(!exact || crop.resize == 0,
            "resize must be 0 where resize_height and resize_width are given");
    require(!exact || (is_side(crop.resize_height) && is_side(crop.resize_width)),
            "resize_height and resize_width" + range + ", or both be 0");
  }
  static void check_output(const auto& crop) {
    require(is_side(crop.height) && is_side(crop.width), "output height and width" + range);
  }
};

}  // namespace

std::size_t item_size(DType dtype) noexcept {
  switch (dtype) {
    case DType::float32: return 4;
    case DType::float16:
    case DType::bfloat16: return 2;
    case DType::uint8: return 1;
  }
  return 0;
}

std::string_view to_string(DType dtype) noexcept {
  switch (dtype) {
    case DType::float32: return "float32";
    case DType::float16: return "float16";
    case DType::bfloat16: return "bfloat16";
    case DType::uint8: return "uint8";
  }
  return "unknown";
}

std::string_view to_string(Interpolation interpolation) noexcept {
  for (const auto& [name, value] : interpolations) {
    if (value == interpolation) return name;
  }
  return "unknown";
}

int TransformPlan::out_height() const noexcept {
  return augment::size_after(augmentation, resize::head_size(*this)).height;
}

int TransformPlan::out_width() const noexcept {
  return augment::size_after(augmentation, resize::head_size(*this)).width;
}

std::size_t TransformPlan::sample_bytes() const noexcept {
  return std::size_t{3} * static_cast<std::size_t>(out_height()) *
         static_cast<std::size_t>(out_width()) * item_size(dtype);
}

void TransformPlan::validate() const {
  require(hflip_probability >= 0 && hflip_probability <= 1, "hflip_probability must be in [0, 1]");
  std::visit(CheckGeometry{}, geometry);
  require(hflip_probability == 0 || !std::holds_alternative<WholeImage>(geometry),
          "hflip_probability must be 0 with WholeImage; its augmentation can flip");
  augment::check(augmentation);
  require(out_height() != 0,
          "the size of the images differs from sample to sample; end the augmentation with a crop "
          "or a resize to one size");
  require(is_side(out_height()) && is_side(out_width()), "output height and width" + range);
  if (erasing) {
    const RandomErasing& e = *erasing;
    require(dtype != DType::uint8, "erasing needs a float dtype");
    require(e.probability >= 0 && e.probability <= 1, "erasing: probability must be in [0, 1]");
    require(0 <= e.scale_min && e.scale_min <= e.scale_max && e.scale_max <= 1,
            "erasing: 0 <= scale_min <= scale_max <= 1 must hold");
    require(e.ratio_min > 0 && e.ratio_min <= e.ratio_max && std::isfinite(e.ratio_max),
            "erasing: 0 < ratio_min <= ratio_max < infinity must hold");
    require(
        1 <= e.min_count && e.min_count <= e.max_count && e.max_count <= e.max_boxes,
        "erasing: 1 <= min_count <= max_count <= " + std::to_string(e.max_boxes) + " must hold");
  }
  require((dtype == DType::uint8) == (normalize.flavour == Normalize::Flavour::none),
          "dtype uint8 goes with Normalize::Flavour::none, the float dtypes with a normalisation");
  for (int c = 0; c < 3; ++c) {
    require(std::isfinite(normalize.mean[c]) && std::isfinite(normalize.std[c]) &&
                normalize.std[c] != 0,
            "mean and std must be finite, std not 0");
  }
}

TransformPlan TransformPlan::imagenet_train() { return {}; }

TransformPlan TransformPlan::imagenet_val() {
  TransformPlan plan;
  plan.geometry = ResizeCenterCrop{};
  plan.hflip_probability = 0;
  return plan;
}

}  // namespace ringfeed
