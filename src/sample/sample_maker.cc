#include "sample/sample_maker.h"

#include <algorithm>

#include "decode/bytes.h"

namespace ringfeed::sample {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

bool is_empty(const decode::Region& region) { return region.height == 0 || region.width == 0; }

/// What views have of most images; where canvases have any size, of 2 megapixels.
std::size_t of_views(const std::vector<TransformPlan>& plans) noexcept {
  std::size_t bytes = 0;
  for (const TransformPlan& plan : plans) {
    bytes += augment::Augmenter::has_canvases_of_any_size(plan) ? 32 * mib : mib;
  }
  return bytes;
}

/// The smallest region that holds both.
decode::Region unite(const decode::Region& a, const decode::Region& b) {
  if (is_empty(a)) return b;
  if (is_empty(b)) return a;
  const int top = std::min(a.top, b.top), left = std::min(a.left, b.left);
  return {top, left, std::max(a.top + a.height, b.top + b.height) - top,
          std::max(a.left + a.width, b.left + b.width) - left};
}

}  // namespace

/// The views behind the decoder: they draw as soon as the size is known, and each gets its part of
/// the rows that they want together.
class SampleMaker::Sink final : public decode::RowSink {
 public:
  Sink(SampleMaker& maker, data::Key key, std::uint64_t position, const Destination& to)
      : views_(maker.views_), key_(key), position_(position), to_(to) {}

  decode::Region begin(int height, int width) override {
    decode::Region all;
    for (std::size_t v = 0; v < views_.size(); ++v) {
      Branch& branch = views_[v];
      branch.region = branch.view->begin(height, width, data::of_view(key_, key_.view + v),
                                         position_, to_.of(v));
      all = unite(all, branch.region);
    }
    next_row_ = all.top;
    left_ = all.left;
    return all;
  }

  void push_row(const std::uint8_t* rgb) override {
    const int y = next_row_++;
    for (const Branch& branch : views_) {
      const decode::Region& region = branch.region;
      if (y < region.top || y >= region.top + region.height || region.width == 0) continue;
      branch.view->push_row(rgb + 3 * (region.left - left_));
    }
  }

 private:
  std::vector<Branch>& views_;
  data::Key key_;
  std::uint64_t position_;
  const Destination& to_;
  int next_row_ = 0, left_ = 0;
};

/// Flushes all views however make() ends, by an exception too, and lets go of what is not kept.
struct SampleMaker::End {
  SampleMaker& maker;

  ~End() {
    for (const Branch& branch : maker.views_) branch.view->flush();
    maker.release();
  }
};

SampleMaker::SampleMaker(const std::vector<TransformPlan>& plans, const DecodeLimits& limits)
    : limits_(limits), kept_bytes_(kept_bytes(plans)), decoder_(limits) {
  views_.reserve(plans.size());
  for (const TransformPlan& plan : plans) views_.push_back({std::make_unique<View>(plan, limits)});
}

tl::expected<void, decode::Failure> SampleMaker::make(std::span<const std::byte> encoded,
                                                      data::Key key, std::uint64_t position,
                                                      const Destination& to) {
  const End end{*this};
  Sink sink(*this, key, position, to);
  auto done = decoder_.decode(decode::to_bytes(encoded), sink);
  for (const Branch& branch : views_) {
    if (done) done = branch.view->complete();
  }
  return done;
}

std::size_t SampleMaker::need(std::span<const std::byte> encoded, data::Key key,
                              std::uint64_t position) {
  const auto decoder = decode::ImageDecoder::need(decode::to_bytes(encoded), limits_);
  if (!decoder) return 0;
  std::size_t bytes = decoder->bytes;
  for (std::size_t v = 0; v < views_.size(); ++v) {
    bytes += views_[v].view->need(decoder->size.height, decoder->size.width,
                                  data::of_view(key, key.view + v), position);
  }
  return bytes;
}

/// What one image made grow is not kept: others may have been granted that memory.
void SampleMaker::release() noexcept {
  std::size_t held = 0;
  for (const Branch& branch : views_) held += branch.view->held();
  if (held <= kept_bytes_) return;
  for (const Branch& branch : views_) branch.view->release();
}

std::size_t SampleMaker::kept_bytes(const std::vector<TransformPlan>& plans) noexcept {
  return of_views(plans) + mib * 3 / 4;
}

std::size_t SampleMaker::usual_need(const std::vector<TransformPlan>& plans) noexcept {
  return of_views(plans) + 4 * mib;
}

std::size_t SampleMaker::most_need(const std::vector<TransformPlan>& plans,
                                   const DecodeLimits& limits) noexcept {
  std::size_t most = decode::ImageDecoder::most_need(limits);
  for (const TransformPlan& plan : plans) most += View::most_need(plan, limits);
  return most;
}

std::size_t SampleMaker::own_bytes(const std::vector<TransformPlan>& plans) noexcept {
  constexpr std::size_t rounding = 64;  // the heap's, of a view
  std::size_t bytes =
      decode::ImageDecoder::scratch_bound() + sizeof(SampleMaker) + kept_bytes(plans);
  for (const TransformPlan& plan : plans) {
    bytes += View::fixed_bytes(plan) + sizeof(Branch) + rounding;
  }
  return bytes;
}

}  // namespace ringfeed::sample
