#include "sample/sample_maker.h"

#include <algorithm>

#include "decode/bytes.h"

namespace ringfeed::sample {
namespace {

bool is_empty(const decode::Region& region) { return region.height == 0 || region.width == 0; }

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

/// Flushes all views however make() ends, by an exception too.
struct SampleMaker::Flush {
  const std::vector<Branch>& views;

  ~Flush() {
    for (const Branch& branch : views) branch.view->flush();
  }
};

SampleMaker::SampleMaker(const std::vector<TransformPlan>& plans, const DecodeLimits& limits)
    : decoder_(limits) {
  views_.reserve(plans.size());
  for (const TransformPlan& plan : plans) views_.push_back({std::make_unique<View>(plan, limits)});
}

tl::expected<void, decode::Failure> SampleMaker::make(std::span<const std::byte> encoded,
                                                      data::Key key, std::uint64_t position,
                                                      const Destination& to) {
  const Flush flush{views_};
  Sink sink(*this, key, position, to);
  auto done = decoder_.decode(decode::to_bytes(encoded), sink);
  for (const Branch& branch : views_) {
    if (done) done = branch.view->complete();
  }
  return done;
}

std::size_t SampleMaker::memory_bound(const std::vector<TransformPlan>& plans,
                                      const DecodeLimits& limits) noexcept {
  constexpr std::size_t rounding = 64;  // the heap's, of a view
  std::size_t bytes = decode::ImageDecoder::memory_bound(limits) + sizeof(SampleMaker);
  for (const TransformPlan& plan : plans) {
    bytes += View::memory_bound(plan, limits) + sizeof(Branch) + rounding;
  }
  return bytes;
}

}  // namespace ringfeed::sample
