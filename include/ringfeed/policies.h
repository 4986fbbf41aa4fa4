#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ringfeed/augmentation.h"

namespace ringfeed {

/// What the policies below have in common.
///
/// @code
/// const ringfeed::Augmentation policy = ringfeed::auto_augment({.height = 224, .width = 224});
/// std::cout << ringfeed::max_operations({&policy, 1}) << "\n";  // 2 of an image at most
/// @endcode
struct PolicyOptions {
  int height = 224, width = 224;  ///< of the image, in pixels: the plan's output
  Interpolation interpolation = Interpolation::nearest;  ///< or bilinear, bicubic
  std::array<std::uint8_t, 3> fill{};
  bool v2 = false;  ///< Solarize's thresholds as transforms.v2 has them, which round otherwise
};

/// The magnitudes of an operation in torchvision's policies, one a bin.
struct PolicyScale {
  std::string_view name;
  std::vector<double> magnitudes;  ///< empty: it has none
  bool is_signed = false;          ///< each sign as often as the other
};
/// All operations that a policy can name, in torchvision's order: the table of TrivialAugmentWide
/// where `wide`, else that of AutoAugment and RandAugment. Magnitudes are torch.linspace's as torch
/// has them with AVX2 or AVX-512; without, torch's can differ in the last bit.
std::vector<PolicyScale> policy_scales(const PolicyOptions& options, int num_magnitude_bins,
                                       bool wide);

/// An operation of torchvision's policies under its name there, such as "ShearX", with a magnitude
/// of their tables, signed. Throws std::invalid_argument for a name that is none.
Augmentation policy_operation(std::string_view name, double magnitude,
                              const PolicyOptions& options);

enum class AutoAugmentPolicy : std::uint8_t { imagenet, cifar10, svhn };
/// torchvision.transforms.AutoAugment with the policy that was learned on that set.
Augmentation auto_augment(const PolicyOptions& options,
                          AutoAugmentPolicy policy = AutoAugmentPolicy::imagenet);

/// torchvision.transforms.RandAugment: `num_ops` operations, each with the magnitude of that bin.
/// Throws std::invalid_argument where the bin is not below num_magnitude_bins.
Augmentation rand_augment(const PolicyOptions& options, int num_ops = 2, int magnitude = 9,
                          int num_magnitude_bins = 31);

/// torchvision.transforms.TrivialAugmentWide: one operation of any magnitude.
Augmentation trivial_augment_wide(const PolicyOptions& options, int num_magnitude_bins = 31);

}  // namespace ringfeed
