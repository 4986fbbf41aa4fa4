#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "augment/canvas.h"
#include "augment/chain_mix.h"
#include "base/aligned_vector.h"
#include "data/random.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

/// Carries out a plan's augmentation on one image after the other. One thread's own.
class Augmenter {
 public:
  /// `plan` stays where it is.
  explicit Augmenter(const TransformPlan& plan);
  explicit Augmenter(TransformPlan&&) = delete;
  Augmenter(const Augmenter&) = delete;
  Augmenter& operator=(const Augmenter&) = delete;

  /// Where the next sample's rows go, and where augment() leaves them; another object after it.
  Canvas& image() { return canvases_[current_]; }

  /// Draws for the sample at `position` and changes image() accordingly.
  void augment(data::Key key, std::uint64_t position);

  /// The most bytes that one for `plan` holds, with a copy of the plan's tree.
  static std::size_t memory_bound(const TransformPlan& plan) noexcept;

 private:
  void apply(const Operation& operation);
  Canvas& other() { return canvases_[1 - current_]; }

  const std::vector<Augmentation>& augmentation_;
  std::array<Canvas, 2> canvases_;  // most operations that move pixels read one, write the other
  std::size_t current_ = 0;
  AlignedVector<std::uint8_t> scratch_;
  std::vector<Operation> operations_;
  std::optional<ChainMix> mix_;  // where the plan has an AugMix
};

}  // namespace ringfeed::augment
