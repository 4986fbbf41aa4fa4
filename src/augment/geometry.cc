#include "augment/geometry.h"

#include <algorithm>
#include <variant>

#include "augment/shapes.h"

namespace ringfeed::augment {
namespace {

/// Without a resize the image stays as it is.
Size resized_by(const auto& plan, Size image) noexcept {
  if (plan.resize == 0 && plan.resize_height == 0) return image;
  return resized(Resize{plan.resize, plan.resize_height, plan.resize_width, plan.max_size}, image);
}

RandomCrop crop_of(const ResizeRandomCrop& plan) noexcept {
  return {.height = plan.height, .width = plan.width};
}

/// Draws where the window of the resized image lies, and what of the image becomes that.
class Head {
 public:
  Head(Geometry& geometry, const TransformPlan& plan, Size image, data::RandomStream& draws)
      : g_(geometry), plan_(plan), image_(image), draws_(draws) {}

  void operator()(const RandomResizedCrop& step) {
    set(draw_resized_crop(step, image_, draws_), {step.height, step.width},
        {0, 0, step.height, step.width});
  }
  void operator()(const ResizeCenterCrop& step) {
    const Size size = resized_by(step, image_);
    set(whole(image_), size, center_window(size, step.height, step.width));
  }
  void operator()(const ResizeRandomCrop& step) {
    const Size size = resized_by(step, image_);
    set(whole(image_), size, draw_random_crop(crop_of(step), size, draws_));
  }
  void operator()(const WholeImage&) { set(whole(image_), image_, whole(image_)); }

  void flip() {
    const bool flips = draws_.uniform() < plan_.hflip_probability;
    g_.hflip = flips && !plan_.hflip_first;
    g_.mirrored_source = flips && plan_.hflip_first;
    if (g_.mirrored_source) g_.left = image_.width - g_.left - g_.width;
  }

 private:
  void set(Box crop, Size size, Box window) {
    g_.top = crop.top;
    g_.left = crop.left;
    g_.height = crop.height;
    g_.width = crop.width;
    g_.resized_height = size.height;
    g_.resized_width = size.width;
    g_.window_top = window.top;
    g_.window_left = window.left;
    g_.out_height = window.height;
    g_.out_width = window.width;
  }

  Geometry& g_;
  const TransformPlan& plan_;
  Size image_;
  data::RandomStream& draws_;
};

}  // namespace

Geometry draw_geometry(const TransformPlan& plan, int image_height, int image_width, data::Key key,
                       std::uint64_t position) noexcept {
  data::RandomStream draws(key, position, data::Purpose::crop);
  Geometry g;
  Head head(g, plan, {image_height, image_width}, draws);
  std::visit(head, plan.geometry);
  head.flip();
  g.interpolation = plan.interpolation;
  if (const auto* crop = std::get_if<RandomResizedCrop>(&plan.geometry)) {
    g.interpolation = draw_one(crop->interpolations, plan.interpolation, draws);
  }
  return g;
}

Box drawn_box(const TransformPlan& plan, const Geometry& g, int image_width) noexcept {
  if (std::holds_alternative<ResizeRandomCrop>(plan.geometry)) {
    return {g.window_top, g.window_left, g.out_height, g.out_width};
  }
  return {g.top, g.mirrored_source ? image_width - g.left - g.width : g.left, g.height, g.width};
}

std::optional<decode::Failure> check_image(const TransformPlan& plan, int image_height,
                                           int image_width, std::size_t max_canvas_bytes) {
  const Size image{image_height, image_width};
  if (std::holds_alternative<WholeImage>(plan.geometry)) {
    return check_canvas(image, max_canvas_bytes, "whole in memory");
  }
  if (const auto* step = std::get_if<ResizeRandomCrop>(&plan.geometry)) {
    const Size size = resized_by(*step, image);
    if (size.height < step->height || size.width < step->width) {
      return too_small(size, step->height, step->width, "RandomCrop");
    }
  }
  return std::nullopt;
}

}  // namespace ringfeed::augment
