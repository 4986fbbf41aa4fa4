#include "augment/canvas_limits.h"

#include <algorithm>
#include <string>

#include "augment/canvas.h"

namespace ringfeed::augment {
namespace {

std::string to_text(int height, int width) {
  return std::to_string(height) + " x " + std::to_string(width);
}

}  // namespace

std::optional<decode::Failure> check_canvas(Size size, std::size_t max_canvas_bytes,
                                            std::string_view where, std::string_view step) {
  const auto image = [&] {
    return "image of " + to_text(size.height, size.width) + " pixels " + std::string(where) +
           (step.empty() ? "" : " ") + std::string(step);
  };
  if (std::min(size.height, size.width) < 1) {
    return decode::Failure{
        false, image() + ": nothing is left of it; remove the file, or change the transform"};
  }
  if (std::max(size.height, size.width) > max_canvas_side) {
    return decode::Failure{false, image() + ", where a side may have " +
                                      std::to_string(max_canvas_side) +
                                      "; resize or remove the file, or begin with a crop"};
  }
  if (Canvas::bytes(size.height, size.width) > max_canvas_bytes) {
    return decode::over_limit(
        image() + " takes more than " + std::to_string(max_canvas_bytes) + " bytes",
        Option::max_canvas_bytes);
  }
  return std::nullopt;
}

decode::Failure too_small(Size image, int height, int width, std::string_view step) {
  return {false, "image of " + to_text(image.height, image.width) + " pixels is smaller than " +
                     std::string(step) + " of " + to_text(height, width) +
                     "; remove the file, or resize or pad before that step"};
}

}  // namespace ringfeed::augment
