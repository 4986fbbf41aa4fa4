#include "sample/sample_maker.h"

#include <algorithm>
#include <optional>

#include "augment/canvas.h"
#include "decode/bytes.h"
#include "decode/file_format.h"
#include "decode/jpeg/decoder.h"
#include "decode/png/decoder.h"
#include "pack/packer.h"
#include "resize/resampler.h"

namespace ringfeed::sample {

struct SampleMaker::Impl {
  Impl(const TransformPlan& p, const DecodeLimits& limits, Packing packing)
      : plan(p), jpeg(limits), png(limits), resampler(p.pillow), packer(p) {
    if (packing == Packing::from_canvas) canvas.emplace(plan.out_height(), plan.out_width());
  }

  /// Writes the tensor from the whole window.
  void pack_canvas(std::byte* out) {
    for (int y = 0; y < plan.out_height(); ++y) packer.row(canvas->row(y), y, out);
  }

  class Sink;

  TransformPlan plan;
  decode::JpegDecoder jpeg;
  decode::PngDecoder png;
  resize::Resampler resampler;
  std::optional<augment::Canvas> canvas;
  pack::Packer packer;
};

/// One sample: the geometry is drawn as soon as the size is known; rows go through the resize
/// to the packer or the canvas.
class SampleMaker::Impl::Sink final : public decode::RowSink {
 public:
  Sink(Impl& maker, data::Key key, std::uint64_t position, std::byte* out)
      : maker_(maker), key_(key), position_(position), out_(out) {}

  decode::Region begin(int height, int width) override {
    geometry = augment::draw_geometry(maker_.plan, height, width, key_, position_);
    const decode::Region region = maker_.resampler.begin(geometry);
    take_rows();
    return region;
  }

  void push_row(const std::uint8_t* rgb) override {
    maker_.resampler.push_row(rgb);
    take_rows();
  }

  augment::Geometry geometry;

 private:
  void take_rows() {
    for (; const std::uint8_t* row = maker_.resampler.next_row(); ++next_row_) {
      if (maker_.canvas) {
        maker_.canvas->set_row(next_row_, row);
      } else {
        maker_.packer.row(row, next_row_, out_);
      }
    }
  }

  Impl& maker_;
  data::Key key_;
  std::uint64_t position_;
  std::byte* out_;
  int next_row_ = 0;
};

SampleMaker::SampleMaker(const TransformPlan& plan, const DecodeLimits& limits, Packing packing)
    : impl_(std::make_unique<Impl>(plan, limits, packing)) {}

SampleMaker::~SampleMaker() = default;

tl::expected<augment::Geometry, decode::Failure> SampleMaker::make(
    std::span<const std::byte> encoded, data::Key key, std::uint64_t position, std::byte* out) {
  const decode::Bytes file = decode::to_bytes(encoded);
  Impl::Sink sink(*impl_, key, position, out);
  const auto format = decode::file_format(file);
  if (!format) return tl::unexpected(format.error());
  auto done = *format == decode::Format::jpeg ? impl_->jpeg.decode(file, sink)
                                              : impl_->png.decode(file, sink);
  if (done && impl_->canvas) impl_->pack_canvas(out);
  // Of a failed image too: the next attempt at it may write to `out` from another thread.
  impl_->packer.finish();
  if (!done) return tl::unexpected(std::move(done.error()));
  return sink.geometry;
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
         pack::Packer::memory_bound(plan) + sizeof(Impl);
}

}  // namespace ringfeed::sample
