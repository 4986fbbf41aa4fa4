#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ringfeed/transform.h"

namespace ringfeed::pack {

/// What each of the 256 byte values becomes in each channel, with torch's arithmetic done in
/// torch's order; the float dtypes as bit patterns in 16 or 32 bits. [3][256].
std::vector<std::uint32_t> reference_table(const TransformPlan& plan);

/// What of `plan` comes before the packing: a plan that ends with the 8-bit image.
TransformPlan before_packing(const TransformPlan& plan);

/// The bits of `value` as float16 or bfloat16, rounded to nearest even.
std::uint16_t to_float16(float value) noexcept;
std::uint16_t to_bfloat16(float value) noexcept;

/// Turns planar rows of bytes into rows of the sample's tensor. One thread's own: it holds a row of
/// scratch.
class Packer {
 public:
  explicit Packer(const TransformPlan& plan);
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  /// Writes row `y` of the tensor at `out`. `planar` holds three planes plane_stride(width) apart.
  void row(const std::uint8_t* planar, int y, std::byte* out);
  /// After the last row that is written: the thread that is told about the sample next sees it all.
  void finish() noexcept;
  /// Whether the SIMD formula gave every reference value; else rows come from the table.
  bool uses_formula() const noexcept;

  /// The most bytes that one for `plan` holds.
  static std::size_t memory_bound(const TransformPlan& plan) noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringfeed::pack
