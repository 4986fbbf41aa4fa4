#include "augment/timm_operation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "augment/matrices.h"
#include "augment/mixing.h"

namespace ringfeed::augment {
namespace {

/// Python's int().
double whole(double value) { return std::trunc(value); }

double draw_level(const TimmOperation& node, data::RandomStream& draws) {
  double magnitude = node.magnitude;
  if (std::isinf(node.magnitude_std)) {
    magnitude *= draws.uniform();
  } else if (node.magnitude_std > 0) {
    magnitude += draw_normal(draws) * node.magnitude_std;
  }
  return std::clamp(magnitude, 0.0, node.magnitude_max);
}

double either_sign(double value, data::RandomStream& draws) {
  return draws.bounded(2) == 0 ? value : -value;
}

Operation plain(OperationKind kind, double value = 0) { return {.kind = kind, .values = {value}}; }

/// ImageOps.posterize with any number of bits; timm leaves 8 and more out.
Operation posterized(double bits) {
  return plain(OperationKind::posterize, std::clamp(bits, 0.0, 8.0));
}

Operation drawn(const TimmOperation& node, const Matrix& matrix, data::RandomStream& draws) {
  const auto& choices = node.interpolations;
  Operation operation{
      .kind = OperationKind::affine,
      .interpolation = choices[choices.size() == 1 ? 0 : draws.bounded(choices.size())],
      .fill = node.fill};
  std::ranges::copy(matrix, operation.values.begin());
  return operation;
}

}  // namespace

Operation draw_timm_operation(const TimmOperation& node, int height, int width,
                              data::RandomStream& draws) {
  using enum TimmOperationKind;
  const double part = draw_level(node, draws) / 10;
  const auto factor = [&] { return part * 1.8 + 0.1; };
  const auto increasing_factor = [&] {
    return std::max(0.1, 1.0 + either_sign(part * 0.9, draws));
  };
  const auto between = [&](double low, double high) {
    return std::clamp(low + (high - low) * part, low, high);
  };
  const auto sheared = [&](bool x) {
    const double by = either_sign(part * 0.3, draws);
    return drawn(node, x ? Matrix{1, by, 0, 0, 1, 0} : Matrix{1, 0, 0, by, 1, 0}, draws);
  };
  const auto moved = [&](bool x, double unit) {
    const double by = either_sign(part * node.translate, draws) * unit;
    return drawn(node, x ? Matrix{1, 0, by, 0, 1, 0} : Matrix{1, 0, 0, 0, 1, by}, draws);
  };
  switch (node.kind) {
    case auto_contrast: return plain(OperationKind::autocontrast);
    case equalize: return plain(OperationKind::equalize);
    case invert: return plain(OperationKind::invert);
    case rotate: {
      const double angle = either_sign(part * 30, draws);
      return drawn(node, rotation(angle, {width / 2.0, height / 2.0}), draws);
    }
    case posterize: return posterized(whole(part * 4));
    case posterize_increasing: return posterized(4 - whole(part * 4));
    case posterize_original: return posterized(whole(part * 4) + 4);
    case solarize: return plain(OperationKind::solarize, std::min(256.0, whole(part * 256)));
    case solarize_increasing:
      return plain(OperationKind::solarize, 256 - std::min(256.0, whole(part * 256)));
    case solarize_add:
      return plain(OperationKind::solarize_add, std::min(128.0, whole(part * 110)));
    case color: return plain(OperationKind::saturation, factor());
    case color_increasing: return plain(OperationKind::saturation, increasing_factor());
    case contrast: return plain(OperationKind::contrast, factor());
    case contrast_increasing: return plain(OperationKind::contrast, increasing_factor());
    case brightness: return plain(OperationKind::brightness, factor());
    case brightness_increasing: return plain(OperationKind::brightness, increasing_factor());
    case sharpness: return plain(OperationKind::sharpness, factor());
    case sharpness_increasing: return plain(OperationKind::sharpness, increasing_factor());
    case shear_x: return sheared(true);
    case shear_y: return sheared(false);
    case translate_x: return moved(true, 1);
    case translate_y: return moved(false, 1);
    case translate_x_rel: return moved(true, width);
    case translate_y_rel: return moved(false, height);
    case desaturate: return plain(OperationKind::saturation, 1 - between(0.5, 1));
    case gaussian_blur: return plain(OperationKind::gaussian_blur, between(0.1, 2));
    case gaussian_blur_rand: break;
  }
  return plain(OperationKind::gaussian_blur, 0.1 + (2 * between(0, 1) - 0.1) * draws.uniform());
}

}  // namespace ringfeed::augment
