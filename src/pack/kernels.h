#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfeed::pack {

/// ((x * scale) - mean) * (1 / std) with each factor split into a float and the rest that the float
/// cannot hold: fma(x, high, x * low) is the correctly rounded product, or quotient, for all but a
/// very few (x, std), which the start-up check finds (1 in 20,000 random mean and std pairs).
struct PackConstants {
  float scale_high, scale_low;
  float mean;
  float inverse_high, inverse_low;
};

/// One instruction set's packing. `values` may be read up to kernel_slack bytes past `count`.
struct PackKernels {
  /// Byte i takes channels[i % period]; period is 1 or 3. Null where there is no formula worth
  /// trying, or no fused multiply-add to evaluate it with.
  using Convert = void (*)(const std::uint8_t* values, std::size_t count,
                           const PackConstants* channels, void* out);
  Convert plane_float32, plane_float16, plane_bfloat16;                    ///< period 1
  Convert interleaved_float32, interleaved_float16, interleaved_bfloat16;  ///< period 3
  /// Finite values to the nearest float16 or bfloat16, ties to even.
  using Round = void (*)(const float* values, std::size_t count, std::uint16_t* out);
  Round round_float16, round_bfloat16;
  /// Three planes `stride` apart to RGB triples; writes up to 3 * kernel_slack bytes past the end.
  void (*interleave)(const std::uint8_t* planar, std::size_t stride, int width, std::uint8_t* out);
};

const PackKernels& pack_kernels();

/// Makes the kernels' non-temporal stores visible to the thread that is told about them next.
void flush_stores();

}  // namespace ringfeed::pack
