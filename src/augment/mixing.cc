#include "augment/mixing.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "augment/fixed_math.h"

namespace ringfeed::augment {
namespace {

constexpr float below_one = 0x1.fffffep-1f;

/// (0, 1], so that its logarithm is finite.
double uniform_above_zero(data::RandomStream& stream) noexcept { return 1 - stream.uniform(); }

/// The logarithm of a Gamma(alpha, 1) draw: with a small alpha the draw itself would be 0.
double draw_log_gamma(data::RandomStream& stream, double alpha) noexcept {
  if (alpha < 1) {
    const double above = draw_log_gamma(stream, alpha + 1);
    return above + log_fixed(uniform_above_zero(stream)) / alpha;
  }
  const double d = alpha - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = draw_normal(stream);
    const double root = 1 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    const double log_v = log_fixed(v);
    const double log_u = log_fixed(uniform_above_zero(stream));
    if (log_u < 0.5 * x * x + d - d * v + d * log_v) return log_fixed(d) + log_v;
  }
}

}  // namespace

double draw_normal(data::RandomStream& stream) noexcept {
  for (;;) {
    const double u = 2 * stream.uniform() - 1;
    const double v = 2 * stream.uniform() - 1;
    const double s = u * u + v * v;
    if (s > 0 && s < 1) return u * std::sqrt(-2 * log_fixed(s) / s);
  }
}

float draw_beta(data::RandomStream& stream, double alpha) noexcept {
  const double a = draw_log_gamma(stream, alpha);
  const double b = draw_log_gamma(stream, alpha);
  // a / (a + b) of the two draws themselves.
  const float share = static_cast<float>(1 / (1 + exp_fixed(b - a)));
  return std::clamp(share, std::numeric_limits<float>::min(), below_one);
}

void draw_dirichlet(data::RandomStream& stream, double alpha, std::span<float> shares) noexcept {
  // The logarithms may be too far from 0 for a float: all less the largest are not.
  std::array<double, max_chains> logs;
  double largest = -HUGE_VAL;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    logs[i] = draw_log_gamma(stream, alpha);
    largest = std::max(largest, logs[i]);
  }
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) sum += logs[i] = exp_fixed(logs[i] - largest);
  for (std::size_t i = 0; i < shares.size(); ++i) shares[i] = static_cast<float>(logs[i] / sum);
}

}  // namespace ringfeed::augment
