#include "pack/kernels.h"

#include <cstring>

#include "pack/packer.h"

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "pack/kernels.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ringfeed::pack {
namespace HWY_NAMESPACE {
namespace {

// Without a fused multiply-add the formula is wrong in most values, and the table is faster than
// two divisions.
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE || \
    HWY_TARGET == HWY_SSSE3 || HWY_TARGET == HWY_SSE4

void interleave(const std::uint8_t* planar, std::size_t stride, int width, std::uint8_t* out) {
  for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
    for (std::size_t c = 0; c < 3; ++c) out[3 * x + c] = planar[c * stride + x];
  }
}

template <std::uint16_t (*round)(float) noexcept>
void round_all(const float* values, std::size_t count, std::uint16_t* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = round(values[i]);
}

const PackKernels& kernels() {
  static constexpr PackKernels table{nullptr,
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     nullptr,
                                     &round_all<to_float16>,
                                     &round_all<to_bfloat16>,
                                     &interleave};
  return table;
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<DF>;
using DU = hn::RebindToUnsigned<DF>;
using DU8 = hn::Rebind<std::uint8_t, DF>;
using DU16 = hn::Rebind<std::uint16_t, DF>;
using VF = hn::Vec<DF>;
constexpr std::size_t n = hn::MaxLanes(DF());

/// The constants of a vector's lanes, lane i having channel (first + i) % period.
struct Lanes {
  VF scale_high, scale_low, mean, inverse_high, inverse_low;
};

HWY_INLINE Lanes lane_constants(const PackConstants* channels, std::size_t first,
                                std::size_t period) {
  alignas(64) float values[5][n];
  for (std::size_t i = 0; i < n; ++i) {
    const PackConstants& c = channels[(first + i) % period];
    const float of_lane[5] = {c.scale_high, c.scale_low, c.mean, c.inverse_high, c.inverse_low};
    for (std::size_t k = 0; k < 5; ++k) values[k][i] = of_lane[k];
  }
  const DF d;
  return {hn::Load(d, values[0]), hn::Load(d, values[1]), hn::Load(d, values[2]),
          hn::Load(d, values[3]), hn::Load(d, values[4])};
}

HWY_INLINE VF convert(const std::uint8_t* values, const Lanes& c) {
  const DF d;
  const VF x = hn::ConvertTo(d, hn::PromoteTo(DI(), hn::LoadU(DU8(), values)));
  const VF scaled = hn::MulAdd(x, c.scale_high, hn::Mul(x, c.scale_low));
  const VF centred = hn::Sub(scaled, c.mean);
  return hn::MulAdd(centred, c.inverse_high, hn::Mul(centred, c.inverse_low));
}

struct Float32 {
  using T = float;
  using D = DF;
  static HWY_INLINE hn::Vec<D> demote(VF v) { return v; }
};
struct Float16 {
  using T = std::uint16_t;
  using D = DU16;
  static HWY_INLINE hn::Vec<D> demote(VF v) {
    return hn::BitCast(D(), hn::DemoteTo(hn::Rebind<hwy::float16_t, DF>(), v));
  }
};
struct Bfloat16 {
  using T = std::uint16_t;
  using D = DU16;
  /// Highway's conversion truncates; torch rounds to nearest even.
  static HWY_INLINE hn::Vec<D> demote(VF v) {
    const DU d;
    const auto bits = hn::BitCast(d, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(d, 1u));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(d, 0x7FFFu)));
    return hn::DemoteTo(D(), hn::BitCast(DI(), hn::ShiftRight<16>(rounded)));
  }
};

template <class Out, bool stream>
HWY_INLINE void store(VF v, typename Out::T* out) {
  if constexpr (stream) {
    hn::Stream(Out::demote(v), typename Out::D(), out);
  } else {
    hn::StoreU(Out::demote(v), typename Out::D(), out);
  }
}

template <class Out, std::size_t period, bool stream>
void convert_row(const std::uint8_t* values, std::size_t count, const PackConstants* channels,
                 typename Out::T* out) {
  Lanes c[period];
  for (std::size_t i = 0; i < period; ++i) c[i] = lane_constants(channels, i * n, period);
  std::size_t i = 0;
  for (; i + period * n <= count; i += period * n) {
    for (std::size_t k = 0; k < period; ++k) {
      store<Out, stream>(convert(values + i + k * n, c[k]), out + i + k * n);
    }
  }
  for (std::size_t k = 0; i < count; ++k, i += n) {
    alignas(64) typename Out::T tail[n];
    hn::Store(Out::demote(convert(values + i, c[k])), typename Out::D(), tail);
    std::memcpy(out + i, tail, HWY_MIN(n, count - i) * sizeof(tail[0]));
  }
}

/// float32 goes past the caches, which it would flood: 98 against 112 us for a whole image of
/// 330 x 330 (only 120 x 120, where rows follow each other fastest, loses: 51 against 45). The
/// 16-bit dtypes gain nothing (91 to 97 against 90 us).
template <class Out, std::size_t period>
void convert_any(const std::uint8_t* values, std::size_t count, const PackConstants* channels,
                 void* out) {
  auto* to = static_cast<typename Out::T*>(out);
  if constexpr (sizeof(*to) == sizeof(float)) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(out) % (n * sizeof(*to)) == 0;
    if (aligned) return convert_row<Out, period, true>(values, count, channels, to);
  }
  convert_row<Out, period, false>(values, count, channels, to);
}

void interleave(const std::uint8_t* planar, std::size_t stride, int width, std::uint8_t* out) {
  const hn::CappedTag<std::uint8_t, 64> d;
  for (std::size_t x = 0; x < static_cast<std::size_t>(width); x += hn::MaxLanes(d)) {
    const std::uint8_t* red = planar + x;
    hn::StoreInterleaved3(hn::LoadU(d, red), hn::LoadU(d, red + stride),
                          hn::LoadU(d, red + 2 * stride), d, out + 3 * x);
  }
}

template <class Out>
void round_all(const float* values, std::size_t count, std::uint16_t* out) {
  const DF d;
  std::size_t i = 0;
  for (; i + n <= count; i += n) store<Out, false>(hn::LoadU(d, values + i), out + i);
  if (i == count) return;
  alignas(64) float last[n] = {};
  alignas(64) std::uint16_t rounded[n];
  std::memcpy(last, values + i, (count - i) * sizeof(last[0]));
  store<Out, false>(hn::Load(d, last), rounded);
  std::memcpy(out + i, rounded, (count - i) * sizeof(rounded[0]));
}

const PackKernels& kernels() {
  static constexpr PackKernels table{
      &convert_any<Float32, 1>, &convert_any<Float16, 1>, &convert_any<Bfloat16, 1>,
      &convert_any<Float32, 3>, &convert_any<Float16, 3>, &convert_any<Bfloat16, 3>,
      &round_all<Float16>,      &round_all<Bfloat16>,     &interleave};
  return table;
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::pack
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::pack {

HWY_EXPORT(kernels);

const PackKernels& pack_kernels() { return HWY_DYNAMIC_DISPATCH(kernels)(); }

void flush_stores() { hwy::FlushStream(); }

}  // namespace ringfeed::pack
#endif
