#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "data/random.h"
#include "ringfeed/mixing.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

enum class MixKind : std::uint8_t { none, mixup, cutmix };

/// How a sample, or each sample of a batch, is mixed with its partner.
struct Mix {
  MixKind kind = MixKind::none;
  double lam = 1;  ///< the sample's own share: of its pixels in MixUp, of its target always
  Box box{};       ///< of CutMix: what comes from the partner; may have no pixel
};

/// One of the things that may happen to a batch by torchvision's rules.
struct MixChoice {
  MixKind kind = MixKind::none;
  double alpha = 1;
  double weight = 1;  ///< its probability
};

/// What `mixing` of Rule::torchvision chooses from: those that can happen, at least one.
std::vector<MixChoice> choices_of(const Mixing& mixing);

struct ChosenMix {
  std::size_t choice = 0;
  Mix mix{};
};

/// Draws, from a stream of Purpose::mixing at the position of a batch's first sample, what happens
/// to its images of height x width: v2.RandomChoice's, then v2.MixUp's or v2.CutMix's.
ChosenMix choose_mix(std::span<const MixChoice> choices, data::RandomStream& stream, int height,
                     int width);

/// The same by timm.data.Mixup's rules, for a batch of `size` images: one Mix, or one for each of
/// them in the modes pair and elem. `size` is even; of cutmix_minmax see has_box().
std::vector<Mix> draw_timm(const Mixing& mixing, data::RandomStream& stream, std::size_t size,
                           int height, int width);

/// Whether `minmax` leaves a box to draw in images of height x width.
bool has_box(const std::array<double, 2>& minmax, int height, int width) noexcept;

}  // namespace ringfeed::augment
