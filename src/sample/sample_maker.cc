#include "sample/sample_maker.h"

#include <algorithm>

#include "decode/bytes.h"
#include "decode/file_format.h"

namespace ringfeed::sample {

/// One sample: the geometry is drawn as soon as the size is known; rows go through the resize
/// to the packer or the canvas.
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
      if (maker_.canvas_) {
        maker_.canvas_->set_row(next_row_, row);
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

SampleMaker::SampleMaker(const TransformPlan& plan, const DecodeLimits& limits, Packing packing)
    : plan_(plan), jpeg_(limits), png_(limits), resampler_(plan.pillow), packer_(plan) {
  if (packing == Packing::from_canvas) canvas_.emplace(plan.out_height(), plan.out_width());
}

/// Writes the tensor from the whole output window.
void SampleMaker::pack_canvas(std::byte* out) {
  for (int y = 0; y < plan_.out_height(); ++y) packer_.row(canvas_->row(y), y, out);
}

tl::expected<void, decode::Failure> SampleMaker::make(std::span<const std::byte> encoded,
                                                      data::Key key, std::uint64_t position,
                                                      std::byte* out) {
  const decode::Bytes file = decode::to_bytes(encoded);
  const auto format = decode::file_format(file);
  if (!format) return tl::unexpected(format.error());
  Sink sink(*this, key, position, out);
  auto done = *format == decode::Format::jpeg ? jpeg_.decode(file, sink) : png_.decode(file, sink);
  if (done && canvas_) pack_canvas(out);
  // Of a failed image too: the next attempt at it may write to `out` from another thread.
  packer_.finish();
  return done;
}

std::size_t SampleMaker::memory_bound(const TransformPlan& plan, const DecodeLimits& limits,
                                      Packing packing) noexcept {
  using decode::JpegDecoder, decode::PngDecoder;
  // One of them decodes, the other keeps its scratch.
  const std::size_t decoders =
      std::max(JpegDecoder::memory_bound(limits) + PngDecoder::scratch_bound,
               PngDecoder::memory_bound(limits) + JpegDecoder::scratch_bound);
  const std::size_t canvas =
      packing == Packing::from_canvas
          ? augment::Canvas::memory_bound(plan.out_height(), plan.out_width())
          : 0;
  return decoders + resize::Resampler::memory_bound(plan, limits.max_pixels) + canvas +
         pack::Packer::memory_bound(plan) + sizeof(SampleMaker);
}

}  // namespace ringfeed::sample
