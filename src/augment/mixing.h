#pragma once

#include "data/random.h"

namespace ringfeed::augment {

/// Draws of a batch's mixing, from a stream of Purpose::mixing at the position of the batch's first
/// sample. No libm function whose last bit could differ between machines takes part. Each rejection
/// uses up its draws.

/// A standard normal number: Marsaglia's polar method. Of the two that it makes the second is
/// dropped, so that a stream has no memory.
double draw_normal(data::RandomStream& stream) noexcept;

/// Beta(alpha, alpha) as torch's: a float32 kept within (0, 1). Two Gamma draws of Marsaglia and
/// Tsang, "A simple method for generating gamma variables" (2000), with the boost that they give
/// for alpha < 1. `alpha`: 1e-100 to 1e300.
float draw_beta(data::RandomStream& stream, double alpha) noexcept;

}  // namespace ringfeed::augment
