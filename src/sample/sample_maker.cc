#include "sample/sample_maker.h"

#include "decode/bytes.h"

namespace ringfeed::sample {
namespace {

/// The view's place behind the decoder: it draws as soon as the size is known.
class ViewSink final : public decode::RowSink {
 public:
  ViewSink(View& view, data::Key key, std::uint64_t position, std::byte* out)
      : view_(view), key_(key), position_(position), out_(out) {}

  decode::Region begin(int height, int width) override {
    return view_.begin(height, width, key_, position_, out_);
  }
  void push_row(const std::uint8_t* rgb) override { view_.push_row(rgb); }

 private:
  View& view_;
  data::Key key_;
  std::uint64_t position_;
  std::byte* out_;
};

}  // namespace

SampleMaker::SampleMaker(const TransformPlan& plan, const DecodeLimits& limits)
    : decoder_(limits), view_(plan) {}

tl::expected<void, decode::Failure> SampleMaker::make(std::span<const std::byte> encoded,
                                                      data::Key key, std::uint64_t position,
                                                      std::byte* out) {
  ViewSink sink(view_, key, position, out);
  auto done = decoder_.decode(decode::to_bytes(encoded), sink);
  if (done) {
    view_.complete();
  } else {
    view_.abandon();
  }
  return done;
}

std::size_t SampleMaker::memory_bound(const TransformPlan& plan,
                                      const DecodeLimits& limits) noexcept {
  return decode::ImageDecoder::memory_bound(limits) + View::memory_bound(plan, limits.max_pixels) +
         sizeof(SampleMaker);
}

}  // namespace ringfeed::sample
