#include "sample/window_decoder.h"

#include <cstddef>
#include <cstring>

#include "augment/interleave.h"
#include "base/planar.h"

namespace ringfeed::sample {
namespace {

bool lies_within(const resize::Geometry& window, int height, int width) {
  return window.top >= 0 && window.left >= 0 && window.height > 0 && window.width > 0 &&
         window.height <= height - window.top && window.width <= width - window.left;
}

/// Whether the crop's rows are the output as they are decoded.
bool only_crops(const resize::Geometry& window) {
  return window.resized_height == window.height && window.resized_width == window.width &&
         !window.hflip && !window.mirrored_source;
}

}  // namespace

class WindowDecoder::Sink final : public decode::RowSink {
 public:
  Sink(WindowDecoder& decoder, const resize::Geometry& window, std::span<std::uint8_t> rgb)
      : resampler_(decoder.resampler_),
        last_rows_(decoder.last_rows_),
        window_(window),
        only_crops_(only_crops(window)),
        row_bytes_(std::size_t{3} * static_cast<std::size_t>(window.out_width)),
        rgb_(rgb) {
    last_rows_.resize(row_bytes_ + kernel_slack);
  }

  bool fits() const { return fits_; }

  decode::Region begin(int height, int width) override {
    fits_ = lies_within(window_, height, width);
    if (!fits_) return {};
    if (only_crops_) return {window_.top, window_.left, window_.height, window_.width};
    const decode::Region region = resampler_.begin(window_);
    take_rows();
    return region;
  }

  void push_row(const std::uint8_t* rgb) override {
    if (only_crops_) {
      std::memcpy(rgb_.data(), rgb, row_bytes_);
      rgb_ = rgb_.subspan(row_bytes_);
      return;
    }
    resampler_.push_row(rgb);
    take_rows();
  }

 private:
  void take_rows() {
    while (const std::uint8_t* planar = resampler_.next_row()) {
      // The kernel writes beyond its row, which only the next ones may bear.
      const bool has_room = rgb_.size() >= row_bytes_ + kernel_slack;
      std::uint8_t* const row = has_room ? rgb_.data() : last_rows_.data();
      augment::to_rgb_row(planar, window_.out_width, row);
      if (!has_room) std::memcpy(rgb_.data(), row, row_bytes_);
      rgb_ = rgb_.subspan(row_bytes_);
    }
  }

  resize::Resampler& resampler_;
  std::vector<std::uint8_t>& last_rows_;
  const resize::Geometry& window_;
  bool only_crops_;
  std::size_t row_bytes_;
  std::span<std::uint8_t> rgb_;  ///< what is left to write
  bool fits_ = true;
};

tl::expected<void, decode::Failure> WindowDecoder::decode(decode::Bytes file,
                                                          const resize::Geometry& window,
                                                          std::span<std::uint8_t> rgb) {
  Sink sink(*this, window, rgb);
  auto done = decoder_.decode(file, sink);
  if (done && !sink.fits()) {
    return tl::unexpected(decode::Failure{.detail = "the crop does not lie within the image"});
  }
  return done;
}

}  // namespace ringfeed::sample
