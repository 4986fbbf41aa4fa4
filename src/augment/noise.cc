#include "augment/noise.h"

#include <Random123/philox.h>

#include <bit>
#include <cmath>

#if defined(__GNUC__) && !defined(__clang__)
// GCC 12's own AVX-512 headers use uninitialised values on purpose (_mm512_undefined_epi32).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "augment/noise.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef RINGFEED_AUGMENT_NOISE_CONSTANTS
#define RINGFEED_AUGMENT_NOISE_CONSTANTS
namespace ringfeed::augment {
namespace {

constexpr std::size_t blocks_in_group = noise_group / 4;

struct Key {
  std::uint32_t word[2];
};

constexpr std::uint32_t sqrt_half_bits = 0x3f3504f3;
constexpr float ln2 = 0x1.62e430p-1f;
/// log m = 2 (z + z (z^2 / 3 + z^4 / 5 + ...)), z = (m - 1) / (m + 1), |z| <= 0.172.
constexpr float log_terms[] = {1.0f / 9, 1.0f / 7, 1.0f / 5, 1.0f / 3};
/// Taylor's, for |x| <= pi / 4, of (sin x - x) / x^3 and (cos x - 1) / x^2.
constexpr float sin_terms[] = {1.0f / 362880, -1.0f / 5040, 1.0f / 120, -1.0f / 6};
constexpr float cos_terms[] = {1.0f / 40320, -1.0f / 720, 1.0f / 24, -1.0f / 2};
constexpr float quarter_pi = 0x1.921fb6p-1f;

}  // namespace
}  // namespace ringfeed::augment
#endif

HWY_BEFORE_NAMESPACE();
namespace ringfeed::augment {
namespace HWY_NAMESPACE {
namespace {

// Sums and products stay apart: a fused multiply-add would round otherwise, and not every processor
// has one.

#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128 || HWY_HAVE_SCALABLE

float polynomial(const float (&terms)[4], float x) {
  return ((terms[0] * x + terms[1]) * x + terms[2]) * x + terms[3];
}

void normals(std::uint32_t a, std::uint32_t b, float* first, float* second) {
  const float uniform = (static_cast<float>(static_cast<std::int32_t>(a >> 1)) + 0.5f) * 0x1p-31f;
  const auto bits = static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(uniform)) -
                    static_cast<std::int32_t>(sqrt_half_bits);
  const auto exponent = static_cast<float>(bits >> 23);
  const auto m =
      std::bit_cast<float>((static_cast<std::uint32_t>(bits) & 0x7fffff) + sqrt_half_bits);
  const float z = (m - 1) / (m + 1), z2 = z * z;
  const float log = exponent * ln2 + 2 * (z + z * (polynomial(log_terms, z2) * z2));
  const float radius = std::sqrt(-2 * log);
  const float x = static_cast<float>(static_cast<std::int32_t>(b << 2)) * (quarter_pi * 0x1p-31f);
  const float x2 = x * x;
  const float sin = x + x * (polynomial(sin_terms, x2) * x2);
  float cos = 1 + polynomial(cos_terms, x2) * x2;
  if (b >> 31 != 0) cos = -cos;
  const bool exchanged = (b >> 30 & 1) != 0;
  *first = radius * (exchanged ? sin : cos);
  *second = radius * (exchanged ? cos : sin);
}

void draw_groups(Key key, std::uint32_t box, std::uint32_t block, float* out, std::size_t groups) {
  for (std::size_t i = 0; i < groups * blocks_in_group; ++i, ++block) {
    const philox4x32_ctr_t counter = {{block, box, 0, 0}};
    const philox4x32_key_t philox_key = {{key.word[0], key.word[1]}};
    const philox4x32_ctr_t words = philox4x32(counter, philox_key);
    float* to = out + i / blocks_in_group * noise_group + i % blocks_in_group;
    for (std::size_t k = 0; k < 4; k += 2) {
      normals(words.v[k], words.v[k + 1], to + k * blocks_in_group, to + (k + 1) * blocks_in_group);
    }
  }
}

#else

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, blocks_in_group>;
using DI = hn::RebindToSigned<DF>;
using DU = hn::RebindToUnsigned<DF>;
using VF = hn::Vec<DF>;
using VU = hn::Vec<DU>;
constexpr std::size_t lanes = hn::MaxLanes(DF());

/// Those of as many blocks as there are even lanes, which alone count: the products are twice as
/// wide.
struct Words {
  VU v[4];
};

/// Philox4x32's first round and the others, each with its keys.
HWY_INLINE void round(Words& w, VU key0, VU key1) {
  const DU d;
  const auto product0 = hn::MulEven(w.v[0], hn::Set(d, std::uint32_t{PHILOX_M4x32_0}));
  const auto product1 = hn::MulEven(w.v[2], hn::Set(d, std::uint32_t{PHILOX_M4x32_1}));
  const auto high0 = hn::Shuffle2301(hn::BitCast(d, product0));
  const auto high1 = hn::Shuffle2301(hn::BitCast(d, product1));
  w.v[0] = hn::Xor(hn::Xor(w.v[1], key0), high1);
  w.v[2] = hn::Xor(hn::Xor(w.v[3], key1), high0);
  w.v[1] = hn::BitCast(d, product1);
  w.v[3] = hn::BitCast(d, product0);
}

/// Of the blocks `block`, one a lane. Two at a time hide each other's latency.
HWY_INLINE Words philox(Key key, VU block, std::uint32_t box) {
  const DU d;
  const hn::RepartitionToWide<DU> wide;
  Words even{{block, hn::Set(d, box), hn::Zero(d), hn::Zero(d)}};
  Words odd{{hn::Add(block, hn::Set(d, 1u)), even.v[1], even.v[2], even.v[3]}};
  VU key0 = hn::Set(d, key.word[0]), key1 = hn::Set(d, key.word[1]);
  for (int i = 0; i < PHILOX4x32_DEFAULT_ROUNDS; ++i) {
    round(even, key0, key1);
    round(odd, key0, key1);
    key0 = hn::Add(key0, hn::Set(d, std::uint32_t{PHILOX_W32_0}));
    key1 = hn::Add(key1, hn::Set(d, std::uint32_t{PHILOX_W32_1}));
  }
  for (std::size_t k = 0; k < 4; ++k) {
    const auto high = hn::BitCast(d, hn::ShiftLeft<32>(hn::BitCast(wide, odd.v[k])));
    even.v[k] = hn::OddEven(high, even.v[k]);
  }
  return even;
}

HWY_INLINE VF polynomial(const float (&terms)[4], VF x) {
  const DF d;
  VF sum = hn::Set(d, terms[0]);
  for (int i = 1; i < 4; ++i) sum = hn::Add(hn::Mul(sum, x), hn::Set(d, terms[i]));
  return sum;
}

/// Of numbers in [2^-32, 1].
HWY_INLINE VF log(VF x) {
  const DF d;
  const DI di;
  const auto sqrt_half = hn::Set(di, static_cast<std::int32_t>(sqrt_half_bits));
  const auto bits = hn::Sub(hn::BitCast(di, x), sqrt_half);
  const VF exponent = hn::ConvertTo(d, hn::ShiftRight<23>(bits));
  const VF m = hn::BitCast(d, hn::Add(hn::And(bits, hn::Set(di, 0x7fffff)), sqrt_half));
  const VF one = hn::Set(d, 1.0f);
  const VF z = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const VF z2 = hn::Mul(z, z);
  const VF half = hn::Add(z, hn::Mul(z, hn::Mul(polynomial(log_terms, z2), z2)));
  return hn::Add(hn::Mul(exponent, hn::Set(d, ln2)), hn::Mul(hn::Set(d, 2.0f), half));
}

HWY_INLINE void normals(VU a, VU b, float* first, float* second) {
  const DF d;
  const DI di;
  const VF whole = hn::ConvertTo(d, hn::BitCast(di, hn::ShiftRight<1>(a)));
  const VF uniform = hn::Mul(hn::Add(whole, hn::Set(d, 0.5f)), hn::Set(d, 0x1p-31f));
  const VF radius = hn::Sqrt(hn::Mul(hn::Set(d, -2.0f), log(uniform)));
  const VF x = hn::Mul(hn::ConvertTo(d, hn::BitCast(di, hn::ShiftLeft<2>(b))),
                       hn::Set(d, quarter_pi * 0x1p-31f));
  const VF x2 = hn::Mul(x, x);
  const VF sin = hn::Add(x, hn::Mul(x, hn::Mul(polynomial(sin_terms, x2), x2)));
  const VF plus = hn::Add(hn::Set(d, 1.0f), hn::Mul(polynomial(cos_terms, x2), x2));
  const VF cos = hn::Xor(plus, hn::And(hn::BitCast(d, b), hn::Set(d, -0.0f)));
  const auto exchanged = hn::RebindMask(d, hn::TestBit(b, hn::Set(DU(), std::uint32_t{1} << 30)));
  hn::StoreU(hn::Mul(radius, hn::IfThenElse(exchanged, sin, cos)), d, first);
  hn::StoreU(hn::Mul(radius, hn::IfThenElse(exchanged, cos, sin)), d, second);
}

void draw_groups(Key key, std::uint32_t box, std::uint32_t block, float* out, std::size_t groups) {
  const DU d;
  VU number = hn::Iota(d, block);
  for (std::size_t i = 0; i < groups * blocks_in_group; i += lanes) {
    const Words words = philox(key, number, box);
    number = hn::Add(number, hn::Set(d, static_cast<std::uint32_t>(lanes)));
    float* to = out + i / blocks_in_group * noise_group + i % blocks_in_group;
    for (std::size_t k = 0; k < 4; k += 2) {
      normals(words.v[k], words.v[k + 1], to + k * blocks_in_group, to + (k + 1) * blocks_in_group);
    }
  }
}

#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace ringfeed::augment
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ringfeed::augment {

HWY_EXPORT(draw_groups);

std::uint64_t draw_noise_key(data::Key key, std::uint64_t position) noexcept {
  return data::RandomStream(key, position, data::Purpose::noise).next_u64();
}

void draw_noise(std::uint64_t key, std::uint32_t box, std::uint32_t first_group,
                std::span<float> out) noexcept {
  HWY_DYNAMIC_DISPATCH(draw_groups)
  ({{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}}, box,
   first_group * static_cast<std::uint32_t>(blocks_in_group), out.data(), out.size() / noise_group);
}

std::vector<float> noise_of_box(std::uint64_t key, std::uint32_t box, std::size_t count) {
  std::vector<float> values((count + noise_group - 1) / noise_group * noise_group);
  draw_noise(key, box, 0, values);
  values.resize(count);
  return values;
}

}  // namespace ringfeed::augment
#endif
