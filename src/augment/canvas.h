#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/aligned_vector.h"
#include "base/planar.h"
#include "base/scratch.h"

namespace ringfeed::augment {

/// A whole image as planar 8-bit RGB, between the resize and the packer: where operations that need
/// more of it than a row find it. The rows lie one after another as the resize
/// emits them, so that the packer takes them from here unchanged: those of one plane are
/// 3 * plane_stride(width) apart. Rows touch: a kernel that writes its slack behind a row writes
/// into the next, and has to go from the top down.
class Canvas {
 public:
  Canvas() = default;
  Canvas(int height, int width) { reshape(height, width); }

  /// Makes it an image of that size, of any content. See make_room().
  void reshape(int height, int width) {
    height_ = height;
    width_ = width;
    row_bytes_ = 3 * plane_stride(width);
    make_room(bytes_, bytes(height, width));
  }

  int height() const noexcept { return height_; }
  int width() const noexcept { return width_; }

  /// Copies a row with its three planes.
  void set_row(int y, const std::uint8_t* planar) {
    std::memcpy(bytes_.data() + offset(y), planar, row_bytes_);
  }
  /// Followed by kernel_slack readable bytes.
  const std::uint8_t* row(int y) const { return bytes_.data() + offset(y); }
  std::uint8_t* row(int y) { return bytes_.data() + offset(y); }
  /// From the first byte of row 0 to the last of the last row.
  std::size_t size() const noexcept { return static_cast<std::size_t>(height_) * row_bytes_; }

  std::size_t held() const noexcept { return bytes_.capacity(); }
  /// The most bytes that one of this size holds.
  static std::size_t memory_bound(int height, int width) noexcept {
    return bytes(height, width) + rounding;
  }
  /// The memory of such an image.
  static std::size_t bytes(int height, int width) noexcept {
    return static_cast<std::size_t>(height) * 3 * plane_stride(width) + kernel_slack;
  }
  // The heap's: to the alignment, and of a large one to pages.
  static constexpr std::size_t rounding = 4096 + 128;

 private:
  std::size_t offset(int y) const { return static_cast<std::size_t>(y) * row_bytes_; }

  int height_ = 0, width_ = 0;
  std::size_t row_bytes_ = 0;
  AlignedVector<std::uint8_t> bytes_;
};

}  // namespace ringfeed::augment
