#include "sample/sample_maker.h"

#include <algorithm>

#include "augment/erasing.h"
#include "decode/bytes.h"
#include "decode/file_format.h"
#include "pack/erase.h"

namespace ringfeed::sample {

/// One sample: the geometry is drawn as soon as the size is known; rows go through the resize to
/// the packer, or to the augmenter, which needs all of them.
class SampleMaker::Sink final : public decode::RowSink {
 public:
  Sink(SampleMaker& maker, data::Key key, std::uint64_t position, std::byte* out)
      : maker_(maker), key_(key), position_(position), out_(out) {}

  decode::Region begin(int height, int width) override {
    maker_.geometry_ = augment::draw_geometry(maker_.plan_, height, width, key_, position_);
    const decode::Region region = maker_.resampler_.begin(maker_.geometry_);
    take_rows();
    return region;
  }

  void push_row(const std::uint8_t* rgb) override {
    maker_.resampler_.push_row(rgb);
    take_rows();
  }

 private:
  void take_rows() {
    for (; const std::uint8_t* row = maker_.resampler_.next_row(); ++next_row_) {
      if (maker_.augmenter_) {
        maker_.augmenter_->image().set_row(next_row_, row);
      } else {
        maker_.packer_.row(row, next_row_, out_);
      }
    }
  }

  SampleMaker& maker_;
  data::Key key_;
  std::uint64_t position_;
  std::byte* out_;
  int next_row_ = 0;
};

SampleMaker::SampleMaker(const TransformPlan& plan, const DecodeLimits& limits)
    : plan_(plan), jpeg_(limits), png_(limits), resampler_(plan.pillow), packer_(plan) {
  if (!plan.augmentation.empty()) augmenter_.emplace(plan_);
}

void SampleMaker::pack_augmented(data::Key key, std::uint64_t position, std::byte* out) {
  augmenter_->augment(key, position);
  const augment::Canvas& image = augmenter_->image();
  for (int y = 0; y < plan_.out_height(); ++y) packer_.row(image.row(y), y, out);
}

tl::expected<void, decode::Failure> SampleMaker::make(std::span<const std::byte> encoded,
                                                      data::Key key, std::uint64_t position,
                                                      std::byte* out) {
  const decode::Bytes file = decode::to_bytes(encoded);
  const auto format = decode::file_format(file);
  if (!format) return tl::unexpected(format.error());
  Sink sink(*this, key, position, out);
  auto done = *format == decode::Format::jpeg ? jpeg_.decode(file, sink) : png_.decode(file, sink);
  if (done && augmenter_) pack_augmented(key, position, out);
  // Of a failed image too: the next attempt at it may write to `out` from another thread.
  packer_.finish();
  if (done && plan_.erasing) {
    const Box box =
        augment::draw_erasing(*plan_.erasing, plan_.out_height(), plan_.out_width(), key, position);
    if (box.height > 0) pack::erase(plan_, box, out);
  }
  return done;
}

std::size_t SampleMaker::memory_bound(const TransformPlan& plan,
                                      const DecodeLimits& limits) noexcept {
  using decode::JpegDecoder, decode::PngDecoder;
  // One of them decodes, the other keeps its scratch.
  const std::size_t decoders =
      std::max(JpegDecoder::memory_bound(limits) + PngDecoder::scratch_bound,
               PngDecoder::memory_bound(limits) + JpegDecoder::scratch_bound);
  const std::size_t augmenter =
      plan.augmentation.empty() ? 0 : augment::Augmenter::memory_bound(plan);
  return decoders + resize::Resampler::memory_bound(plan, limits.max_pixels) + augmenter +
         pack::Packer::memory_bound(plan) + sizeof(SampleMaker);
}

}  // namespace ringfeed::sample
