#pragma once

#include <cstddef>

#include "augment/canvas.h"
#include "base/aligned_vector.h"

namespace ringfeed::augment {

/// A mix of chains of operations, as of timm's AugMixAugment: the original image, and the float32
/// sum of what the chains make of it.
class ChainMix {
 public:
  ChainMix(int height, int width);

  /// Keeps `image` as the original. The sum begins as the image, or else as zeros.
  void begin(const Canvas& image, bool from_image);
  /// sum += weight * image, each rounded once. `image` is the original again.
  void add(float weight, Canvas& image);
  /// The sum, whole numbers, becomes Image.blend(sum, image, factor). `image` is the original
  /// again.
  void blend(float factor, Canvas& image);
  /// `image` becomes Image.blend(original, sum, factor), the sum clipped and truncated.
  void end(float factor, Canvas& image);

  std::size_t held() const noexcept { return original_.held() + sum_.capacity() * sizeof(float); }
  static std::size_t memory_bound(int height, int width) noexcept;

 private:
  Canvas original_;
  AlignedVector<float> sum_;
};

}  // namespace ringfeed::augment
