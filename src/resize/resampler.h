#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "decode/row_sink.h"
#include "resize/geometry.h"
#include "ringfeed/transform.h"

namespace ringfeed::resize {

/// Streaming resize and flip, with the bytes of Pillow's resize: source rows go in, the
/// rows of the output window come out as planar 8-bit RGB (base/planar.h). One per decode thread
/// and used by it alone; scratch is reused.
class Resampler {
 public:
  explicit Resampler(PillowRule rule);
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  /// Starts one image. Returns the part of the source that `geometry` reads, empty where the whole
  /// output window is padding: what rows to push.
  decode::Region begin(const Geometry& geometry);

  /// The next row of the region, top to bottom: region.width RGB triples, then decode::row_slack
  /// readable bytes. `rgb` may be reused as soon as this returns.
  void push_row(const std::uint8_t* rgb);

  /// The next row of the output window, top to bottom; null if its source rows are not all there,
  /// or after the last. Valid until the next call. After begin() and every push_row() this is
  /// called until it gives null: a row left waiting would lose its source rows to the next push.
  const std::uint8_t* next_row();

  /// The most bytes that begin() adds to those held() for `geometry`. It asks before it allocates.
  std::size_t need(const Geometry& geometry) const noexcept;
  /// Of need(), the axes' tables: those of the last `tables_kept` geometries stay side by side, the
  /// rest is shared by all.
  static std::size_t table_need(const Geometry& geometry) noexcept;
  static constexpr std::size_t tables_kept = 4;
  /// The most that this is for the geometry of `plan`, whatever images of at most `max_pixels`
  /// come.
  static std::size_t most_need(const TransformPlan& plan, std::uint64_t max_pixels) noexcept;
  /// What all of them together hold for resizes of whole images, where they, what they become and
  /// what lies between the passes take at most so many bytes, and have sides of at most `max_side`.
  static std::size_t most_need(std::size_t max_bytes, std::size_t max_side) noexcept;

  /// Bytes kept from image to image, and an end to that.
  std::size_t held() const noexcept;
  void release();
  /// What it takes besides.
  static std::size_t fixed_bytes() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringfeed::resize
