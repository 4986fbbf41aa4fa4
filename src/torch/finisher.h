#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <vector>

#include "ringfeed/batch.h"

namespace ringfeed {

/// What is left of `plan` on the CPU where the device finishes batches: it stops at the 8-bit
/// image. Throws std::invalid_argument for erasing with noise, which is made on the CPU.
TransformPlan unfinished(const TransformPlan& plan);

/// Makes of batches of unfinished(plan), on a device, what `plan` gives on the CPU: every bit.
/// Holds a few numbers there. Any thread, one at a time.
class Finisher {
 public:
  /// Compares the device's arithmetic with the CPU's for all 768 values, and waits for that. Throws
  /// c10::Error for a device that cannot be used.
  Finisher(const TransformPlan& plan, at::Device device);

  at::Device device() const noexcept { return device_; }
  /// Whether the arithmetic gave the CPU's bits; else values come from a table.
  bool uses_arithmetic() const noexcept { return uses_arithmetic_; }

  /// uint8 [B, 3, H, W] on the device, in any layout, to the plan's dtype in the same layout and in
  /// new memory. Erases what the plan draws at these positions of the epoch. Waits for nothing.
  at::Tensor finish(const at::Tensor& images, const std::vector<std::uint64_t>& positions,
                    std::uint64_t seed, std::uint64_t epoch) const;
  /// The same without erasing, by the device's arithmetic and by the CPU's table.
  at::Tensor compute(const at::Tensor& images) const;
  at::Tensor look_up(const at::Tensor& images) const;

 private:
  TransformPlan plan_;
  at::Device device_;
  at::Tensor scale_, mean_, std_, erase_value_;
  at::Tensor table_;  ///< [3, 256], the CPU's values
  bool uses_arithmetic_ = false;
};

}  // namespace ringfeed
