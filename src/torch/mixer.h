#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "augment/batch_mixing.h"
#include "data/epoch_order.h"
#include "ringfeed/loader.h"
#include "ringfeed/mixing.h"

namespace ringfeed {

/// What is drawn for a batch.
struct MixDraw {
  std::vector<augment::Mix> mixes;  ///< one for the whole batch, or one for each sample
  /// Sample i of n is mixed with n - 1 - i; else with i - 1, the first with the last.
  bool mirrored = false;
};

/// Draws how a loader's batches are mixed, and makes their targets. Any thread.
class Mixer {
 public:
  /// Throws OptionError where `mixing` makes no sense for a loader of these.
  Mixer(const Mixing& mixing, const TransformPlan& plan, const ImageFolder& dataset,
        const LoaderOptions& options);

  /// Throws OptionError where a batch of the loader's own order, from `start` on, cannot be mixed:
  /// with timm's rule each sample needs a partner of its own.
  void check_epoch(const Progress& start) const;

  /// Throws std::invalid_argument for a batch that cannot be mixed.
  MixDraw draw(const Batch& batch, std::uint64_t seed, std::uint64_t epoch) const;
  /// float32 [size, num_classes], mixed; page-locked if the images are. Throws
  /// std::invalid_argument for a label that has no column.
  at::Tensor targets(const Batch& batch, const MixDraw& draw) const;

 private:
  Mixing mixing_;
  std::vector<augment::MixChoice> choices_;  ///< of torchvision's rule
  std::int64_t classes_;
  int height_, width_;
  DType dtype_;
  std::size_t total_, batch_size_;
  bool drop_last_;
  data::OrderOptions order_;
};

/// Mixes images [n, 3, H, W] in place, wherever they are. Multiplies and adds in steps that round
/// each to their dtype, as torchvision and timm do; uint8 in float32, rounded to even.
void mix_images(const at::Tensor& images, const MixDraw& draw);
/// The same with a few kernels for all images, for a draw of one Mix; and image after image.
void mix_whole(const at::Tensor& images, const MixDraw& draw);
void mix_each(const at::Tensor& images, const MixDraw& draw);

}  // namespace ringfeed
