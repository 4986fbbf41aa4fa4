#include "augment/chain_mix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/planar.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/chain_mix.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, 16>;
using D32 = hn::RebindToSigned<D>;
using D8 = hn::Rebind<std::uint8_t, D>;

HWY_INLINE hn::Vec<D> load(const std::uint8_t* bytes) {
  return hn::ConvertTo(D(), hn::PromoteTo(D32(), hn::LoadU(D8(), bytes)));
}

/// Pillow's Image.blend with a factor from 0 to 1.
HWY_INLINE hn::Vec<D> blended(hn::Vec<D> base, hn::Vec<D> value, float factor) {
  const auto way = hn::Mul(hn::Set(D(), factor), hn::Sub(value, base));
  return hn::Floor(hn::Add(base, way));
}

// `count` is a multiple of 16; more than a vector of any instruction set holds follows.

void start(const std::uint8_t* bytes, std::size_t count, float factor, float* sum) {
  for (std::size_t i = 0; i < count; i += hn::Lanes(D())) {
    hn::Store(hn::Mul(load(bytes + i), hn::Set(D(), factor)), D(), sum + i);
  }
}

void add(const std::uint8_t* bytes, std::size_t count, float weight, float* sum) {
  for (std::size_t i = 0; i < count; i += hn::Lanes(D())) {
    const auto way = hn::Mul(load(bytes + i), hn::Set(D(), weight));
    hn::Store(hn::Add(hn::Load(D(), sum + i), way), D(), sum + i);
  }
}

void blend(const std::uint8_t* bytes, std::size_t count, float factor, float* sum) {
  for (std::size_t i = 0; i < count; i += hn::Lanes(D())) {
    hn::Store(blended(hn::Load(D(), sum + i), load(bytes + i), factor), D(), sum + i);
  }
}

/// `bytes` become their blend with the sum.
void finish(const float* sum, std::size_t count, float factor, std::uint8_t* bytes) {
  const D d;
  for (std::size_t i = 0; i < count; i += hn::Lanes(d)) {
    const auto mixed =
        hn::Floor(hn::Min(hn::Max(hn::Load(d, sum + i), hn::Zero(d)), hn::Set(d, 255.0f)));
    const auto result = blended(load(bytes + i), mixed, factor);
    hn::StoreU(hn::DemoteTo(D8(), hn::ConvertTo(D32(), result)), D8(), bytes + i);
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(start);
HWY_EXPORT(add);
HWY_EXPORT(blend);
HWY_EXPORT(finish);

ChainMix::ChainMix(int height, int width) : original_(height, width), sum_(original_.size()) {}

void ChainMix::begin(const Canvas& image, bool from_image) {
  std::memcpy(original_.row(0), image.row(0), image.size());
  HWY_DYNAMIC_DISPATCH(start)
  (image.row(0), image.size(), from_image ? 1.0f : 0.0f, sum_.data());
}

void ChainMix::add(float weight, Canvas& image) {
  HWY_DYNAMIC_DISPATCH(add)(image.row(0), image.size(), weight, sum_.data());
  std::memcpy(image.row(0), original_.row(0), image.size());
}

void ChainMix::blend(float factor, Canvas& image) {
  HWY_DYNAMIC_DISPATCH(blend)(image.row(0), image.size(), factor, sum_.data());
  std::memcpy(image.row(0), original_.row(0), image.size());
}

void ChainMix::end(float factor, Canvas& image) {
  HWY_DYNAMIC_DISPATCH(finish)(sum_.data(), image.size(), factor, image.row(0));
}

std::size_t ChainMix::memory_bound(int height, int width) noexcept {
  constexpr std::size_t rounding = 4096 + 128;  // the heap's
  return Canvas::memory_bound(height, width) +
         static_cast<std::size_t>(height) * 3 * plane_stride(width) * sizeof(float) + rounding;
}

}  // namespace ringfeed::augment
#endif
