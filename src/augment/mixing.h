#pragma once

#include <cstddef>
#include <span>

#include "data/random.h"

namespace ringfeed::augment {

/// Distributions of a batch's mixing, drawn from a stream of Purpose::mixing at the position of the
/// batch's first sample, and of timm's policies. No libm function whose last bit could differ
/// between machines takes part. Each rejection uses up its draws.

/// A standard normal number: Marsaglia's polar method. Of the two that it makes the second is
/// dropped, so that a stream has no memory.
double draw_normal(data::RandomStream& stream) noexcept;

/// Beta(alpha, alpha) as torch's: a float32 kept within (0, 1). Two Gamma draws of Marsaglia and
/// Tsang, "A simple method for generating gamma variables" (2000), with the boost that they give
/// for alpha < 1. `alpha`: 1e-100 to 1e300.
float draw_beta(data::RandomStream& stream, double alpha) noexcept;

/// Chains that an AugMix can have.
inline constexpr std::size_t max_chains = 16;

/// Dirichlet with each concentration `alpha`, in the range above, into at most max_chains `shares`:
/// float32 numbers of [0, 1] whose sum is 1 but for their rounding.
void draw_dirichlet(data::RandomStream& stream, double alpha, std::span<float> shares) noexcept;

}  // namespace ringfeed::augment
