// What the vector code of this folder shares, compiled for each instruction set.
#if defined(RINGFEED_DECODE_JPEG_PIXELS_VECTORS_INL_H) == defined(HWY_TARGET_TOGGLE)
#ifdef RINGFEED_DECODE_JPEG_PIXELS_VECTORS_INL_H
#undef RINGFEED_DECODE_JPEG_PIXELS_VECTORS_INL_H
#else
#define RINGFEED_DECODE_JPEG_PIXELS_VECTORS_INL_H
#endif

#include <hwy/highway.h>

#include <cstdint>

#undef RINGFEED_PIXELS_SCALAR
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE
#define RINGFEED_PIXELS_SCALAR 1
#else
#define RINGFEED_PIXELS_SCALAR 0
#endif

#if !RINGFEED_PIXELS_SCALAR
HWY_BEFORE_NAMESPACE();
namespace ringfeed::decode {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

#if HWY_ARCH_X86
using D16 = hn::CappedTag<std::int16_t, 32>;
#else
using D16 = hn::FixedTag<std::int16_t, 8>;
#endif
using D8 = hn::Repartition<std::uint8_t, D16>;
using D32 = hn::Repartition<std::int32_t, D16>;
using V8 = hn::Vec<D8>;
using V16 = hn::Vec<D16>;
using V32 = hn::Vec<D32>;

/// Of neighbours, a * b, modulo 2^32.
HWY_INLINE V32 sum_of_products(V16 a, V16 b) {
  const D32 d;
  V32 odd = hn::Zero(d);
  const V32 even = hn::ReorderWidenMulAccumulate(d, a, b, hn::Zero(d), odd);
  return hn::RearrangeToOddPlusEven(even, odd);
}

/// Of each 128 bits a's lanes, then b's, clamped to bytes. Highway has no name for it in 1.0.3.
HWY_INLINE V8 pack(V16 a, V16 b) {
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3
  return V8{_mm512_packus_epi16(a.raw, b.raw)};
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
  return V8{_mm256_packus_epi16(a.raw, b.raw)};
#elif HWY_ARCH_X86
  return V8{_mm_packus_epi16(a.raw, b.raw)};
#else
  const hn::Half<D8> half;
  return hn::Combine(D8(), hn::DemoteTo(half, b), hn::DemoteTo(half, a));
#endif
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::decode
HWY_AFTER_NAMESPACE();
#endif

#endif
