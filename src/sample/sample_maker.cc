#include "sample/sample_maker.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "augment/canvas.h"
#include "decode/file_format.h"
#include "decode/jpeg/decoder.h"
#include "decode/max_side.h"
#include "decode/png/decoder.h"
#include "pack/packer.h"
#include "resize/resampler.h"

namespace ringfeed::sample {
namespace {

using Octets = std::span<const std::uint8_t>;

Octets as_octets(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

}  // namespace

struct SampleMaker::Impl {
  Impl(const TransformPlan& p, const DecodeLimits& limits, Window window)
      : plan(p), jpeg(limits), png(limits), resampler(p.pillow), packer(p) {
    if (window == Window::canvas) canvas.emplace(plan.out_height(), plan.out_width());
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

SampleMaker::SampleMaker(const TransformPlan& plan, const DecodeLimits& limits, Window window)
    : impl_(std::make_unique<Impl>(plan, limits, window)) {}

SampleMaker::~SampleMaker() = default;

tl::expected<augment::Geometry, decode::Failure> SampleMaker::make(
    std::span<const std::byte> encoded, data::Key key, std::uint64_t position, std::byte* out) {
  const Octets file = as_octets(encoded);
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

std::size_t SampleMaker::memory_bound(const TransformPlan& plan,
                                      const DecodeLimits& limits) noexcept {
  const auto out_height = static_cast<std::size_t>(plan.out_height());
  const auto out_width = static_cast<std::size_t>(plan.out_width());
  // What the longest side is resized to, at the least: Resize may make it shorter than the crop,
  // and without one it stays.
  std::size_t least_height = out_height, least_width = out_width;
  if (const auto* val = std::get_if<ResizeCenterCrop>(&plan.geometry)) {
    const auto least = [&](int exact) {
      return val->resize > 0 ? static_cast<std::size_t>(val->resize)
             : exact > 0     ? static_cast<std::size_t>(exact)
                             : decode::max_side;
    };
    least_height = least(val->resize_height);
    least_width = least(val->resize_width);
  }
  // The resize keeps four tables an axis, at most 16 bytes a tap pair and 24 a pixel of padding,
  // and a ring of at most four times the rows under one output pixel.
  const auto tables = [](std::size_t out, std::size_t least) {
    return 4 * 64 * (out + 64) * (decode::max_side / least + 8);
  };
  const std::size_t pixels =
      std::min<std::size_t>(limits.max_pixels, decode::max_side * decode::max_side);
  const std::size_t ring_rows = 4 * (decode::max_side / least_height + 4);
  const std::size_t ring = 3 * std::max(ring_rows * (out_width + 64),
                                        4 * (pixels / least_height + 4 * decode::max_side));
  constexpr std::size_t rest = 1 << 20;  // rows, packing tables, the objects themselves
  return decode::JpegDecoder::memory_bound(limits) + tables(out_height, least_height) +
         tables(out_width, least_width) + ring + rest;
}

}  // namespace ringfeed::sample
