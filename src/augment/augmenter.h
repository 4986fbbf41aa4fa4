#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tl/expected.hpp>
#include <vector>

#include "augment/canvas.h"
#include "augment/chain_mix.h"
#include "base/aligned_vector.h"
#include "data/random.h"
#include "decode/failure.h"
#include "resize/resampler.h"
#include "ringfeed/transform.h"

namespace ringfeed::augment {

/// Carries out a plan's augmentation on one image after the other. One thread's own.
class Augmenter {
 public:
  /// `plan` and `resampler` stay where they are; the latter is used within augment() alone.
  Augmenter(const TransformPlan& plan, std::size_t max_canvas_bytes, resize::Resampler& resampler);
  Augmenter(const Augmenter&) = delete;
  Augmenter& operator=(const Augmenter&) = delete;

  /// Draws for the sample at `position`, of which image() gets height x width. Fails as
  /// draw_operations().
  tl::expected<void, decode::Failure> begin(int height, int width, data::Key key,
                                            std::uint64_t position);

  /// Where the sample's rows go, and where augment() leaves them; another object after it.
  Canvas& image() { return canvases_[current_]; }

  /// Carries out what was drawn.
  void augment();

  /// Whether DecodeLimits::max_canvas_bytes bounds memory of one for `plan`.
  static bool has_canvases_of_any_size(const TransformPlan& plan) noexcept;

  /// Where has_canvases_of_any_size(): the most bytes that begin() and augment() add to those
  /// held(), the resampler's included. Draws as begin() does, and allocates nothing.
  tl::expected<std::size_t, decode::Failure> need(int height, int width, data::Key key,
                                                  std::uint64_t position);
  /// The most that this is for any image; 0 for other plans.
  static std::size_t most_need(const TransformPlan& plan, std::size_t max_canvas_bytes) noexcept;
  /// Bytes kept from image to image, and an end to that.
  std::size_t held() const noexcept;
  void release();
  /// What it takes besides: a copy of the plan's tree, and canvases where they have one size.
  static std::size_t fixed_bytes(const TransformPlan& plan) noexcept;

 private:
  void apply(const Operation& operation);
  /// Makes mix_ one for images of image()'s size.
  void make_mix();
  /// The canvas that is not image(), in its size.
  Canvas& other();
  void swap() { current_ = 1 - current_; }

  const std::vector<Augmentation>& augmentation_;
  std::size_t max_canvas_bytes_;
  resize::Resampler& resampler_;
  std::array<Canvas, 2> canvases_;  // most operations that move pixels read one, write the other
  std::size_t current_ = 0;
  AlignedVector<std::uint8_t> scratch_;
  std::vector<Operation> operations_;
  std::optional<ChainMix> mix_;  // where the plan has an AugMix
  Size mix_size_;
};

}  // namespace ringfeed::augment
