#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace ringfeed {

/// MixUp, CutMix and label smoothing: plain data for the DataLoader of LibTorch tensors. Labels
/// become float targets of a column for each class, and each image and its target are mixed with
/// another of its batch. Everything random follows from the seed, the epoch and the place of the
/// batch's first sample in the epoch's global order.
///
/// @code
/// ringfeed::Mixing mixing{.mixup_alpha = 0.2, .cutmix_alpha = 1, .label_smoothing = 0.1};
/// mixing.validate();
/// std::cout << mixing.switch_prob << "\n";  // of the batches get CutMix, the others MixUp
/// @endcode
struct Mixing {
  /// Whose partners, boxes and shares they are.
  enum class Rule : std::uint8_t {
    /// torchvision.transforms.v2: MixUp, CutMix, or RandomChoice of the two. Each image is mixed
    /// with the one before it in the batch, the first with the last.
    torchvision,
    /// timm.data.Mixup, for uint8 batches FastCollateMixup: image i of n is mixed with image
    /// n - 1 - i, so that batches must be even.
    timm,
  };
  /// timm's: what is drawn anew for each batch, pair of images, or image.
  enum class Mode : std::uint8_t { batch, pair, elem };

  Rule rule = Rule::torchvision;
  double mixup_alpha = 0;      ///< of Beta(alpha, alpha), 1e-6 to 1e6; 0: no MixUp
  double cutmix_alpha = 0;     ///< the same of CutMix; with both, each batch gets one of the two
  double prob = 1;             ///< that a batch, pair or image is mixed
  double switch_prob = 0.5;    ///< with both alphas: that it gets CutMix
  double label_smoothing = 0;  ///< s: 1 - s + s / classes for the class, s / classes for others
  int num_classes = 0;         ///< columns of the targets; 0: as many as the dataset has classes

  Mode mode = Mode::batch;  ///< other than batch: of Rule::timm alone, as the two that follow
  /// The least and the largest part of each side that a box takes; cutmix_alpha is 1 then.
  std::optional<std::array<double, 2>> cutmix_minmax{};
  bool correct_lam = true;  ///< targets by the box's true area, clipped to the image

  /// Throws OptionError naming the field that makes no sense.
  void validate() const;
};

}  // namespace ringfeed
