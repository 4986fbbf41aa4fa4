#include "augment/batch_mixing.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "augment/mixing.h"

namespace ringfeed::augment {
namespace {

int bounded(data::RandomStream& stream, int n) {
  return static_cast<int>(stream.bounded(static_cast<std::uint64_t>(n)));
}

Box box_of(int left, int top, int right, int bottom) {
  return {.top = top, .left = left, .height = bottom - top, .width = right - left};
}

/// The sample's own share where its partner's box covers the rest.
double share_outside(const Box& box, int height, int width) {
  return 1.0 - static_cast<double>(box.height * box.width) / static_cast<double>(height * width);
}

/// torchvision's: drawn around a pixel, half its size to each side, clipped to the image.
Box box_around(data::RandomStream& stream, double lam, int height, int width) {
  const int x = bounded(stream, width), y = bounded(stream, height);
  const double half = 0.5 * std::sqrt(1.0 - lam);
  const int across = static_cast<int>(half * width), down = static_cast<int>(half * height);
  return box_of(std::max(x - across, 0), std::max(y - down, 0), std::min(x + across, width),
                std::min(y + down, height));
}

/// timm's: of an odd side the larger half lies right or below. Its sides are computed in `Number`.
template <class Number>
Box box_of_share(data::RandomStream& stream, Number lam, int height, int width) {
  const Number ratio = std::sqrt(Number{1} - lam);
  const int down = static_cast<int>(static_cast<Number>(height) * ratio);
  const int across = static_cast<int>(static_cast<Number>(width) * ratio);
  const int y = bounded(stream, height), x = bounded(stream, width);
  return box_of(std::max(x - across / 2, 0), std::max(y - down / 2, 0),
                std::min(x + (across + 1) / 2, width), std::min(y + (down + 1) / 2, height));
}

/// The least length of a box's side, and the first that is too long.
struct Cuts {
  Cuts(const std::array<double, 2>& minmax, int side)
      : low(static_cast<int>(side * minmax[0])), high(static_cast<int>(side * minmax[1])) {}
  int low, high;
};

Box box_between(data::RandomStream& stream, const std::array<double, 2>& minmax, int height,
                int width) {
  const Cuts down_cuts(minmax, height), across_cuts(minmax, width);
  const int down = down_cuts.low + bounded(stream, down_cuts.high - down_cuts.low);
  const int across = across_cuts.low + bounded(stream, across_cuts.high - across_cuts.low);
  const int top = bounded(stream, height - down + 1);
  const int left = bounded(stream, width - across + 1);
  return {.top = top, .left = left, .height = down, .width = across};
}

template <class Number>
Mix draw_one(const Mixing& mixing, data::RandomStream& stream, int height, int width) {
  if (stream.uniform() >= mixing.prob) return {};
  const bool both = mixing.mixup_alpha > 0 && mixing.cutmix_alpha > 0;
  const bool cut = both ? stream.uniform() < mixing.switch_prob : mixing.cutmix_alpha > 0;
  const Number lam = draw_beta(stream, cut ? mixing.cutmix_alpha : mixing.mixup_alpha);
  if (!cut) return {MixKind::mixup, lam};
  const Box box = mixing.cutmix_minmax ? box_between(stream, *mixing.cutmix_minmax, height, width)
                                       : box_of_share<Number>(stream, lam, height, width);
  const bool corrected = mixing.correct_lam || mixing.cutmix_minmax;
  const Number own = corrected ? static_cast<Number>(share_outside(box, height, width)) : lam;
  return {MixKind::cutmix, own, box};
}

std::size_t choose(std::span<const MixChoice> choices, data::RandomStream& stream) {
  if (choices.size() == 1) return 0;
  const double drawn = stream.uniform();
  double total = 0;
  for (std::size_t i = 0; i < choices.size(); ++i) {
    total += choices[i].weight;
    if (drawn < total) return i;
  }
  // The sum fell short of 1 by a rounding.
  std::size_t last = choices.size() - 1;
  while (choices[last].weight <= 0) --last;
  return last;
}

}  // namespace

std::vector<MixChoice> choices_of(const Mixing& mixing) {
  const bool up = mixing.mixup_alpha > 0, cut = mixing.cutmix_alpha > 0;
  const double cut_prob = up && cut ? mixing.switch_prob : (cut ? 1 : 0);
  const double prob = up || cut ? mixing.prob : 0;
  std::vector<MixChoice> choices{{MixKind::mixup, mixing.mixup_alpha, prob * (1 - cut_prob)},
                                 {MixKind::cutmix, mixing.cutmix_alpha, prob * cut_prob},
                                 {MixKind::none, 1, 1 - prob}};
  const auto sure = std::ranges::find(choices, 1.0, &MixChoice::weight);
  if (sure != choices.end()) return {*sure};
  std::erase_if(choices, [](const MixChoice& choice) { return choice.weight <= 0; });
  double total = 0;
  for (const MixChoice& choice : choices) total += choice.weight;
  for (MixChoice& choice : choices) choice.weight /= total;
  return choices;
}

ChosenMix choose_mix(std::span<const MixChoice> choices, data::RandomStream& stream, int height,
                     int width) {
  ChosenMix chosen{.choice = choose(choices, stream)};
  const MixChoice& choice = choices[chosen.choice];
  chosen.mix.kind = choice.kind;
  if (choice.kind == MixKind::none) return chosen;
  chosen.mix.lam = draw_beta(stream, choice.alpha);
  if (choice.kind == MixKind::cutmix) {
    chosen.mix.box = box_around(stream, chosen.mix.lam, height, width);
    chosen.mix.lam = share_outside(chosen.mix.box, height, width);
  }
  return chosen;
}

std::vector<Mix> draw_timm(const Mixing& mixing, data::RandomStream& stream, std::size_t size,
                           int height, int width) {
  if (mixing.mode == Mixing::Mode::batch) return {draw_one<double>(mixing, stream, height, width)};
  std::vector<Mix> mixes(mixing.mode == Mixing::Mode::pair ? size / 2 : size);
  // timm keeps the shares of single samples as float32, and NumPy 2 computes in it too.
  for (Mix& mix : mixes) mix = draw_one<float>(mixing, stream, height, width);
  if (mixing.mode == Mixing::Mode::pair) {
    mixes.reserve(size);
    for (std::size_t i = size / 2; i-- > 0;) mixes.push_back(mixes[i]);
  }
  return mixes;
}

bool has_box(const std::array<double, 2>& minmax, int height, int width) noexcept {
  return std::ranges::all_of(std::array{height, width}, [&](int side) {
    const double low = std::trunc(side * minmax[0]), high = std::trunc(side * minmax[1]);
    return 0 <= low && low < high && high <= side + 1;
  });
}

}  // namespace ringfeed::augment
