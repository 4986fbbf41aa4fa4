#include "data/random.h"

#include <Random123/philox.h>

namespace ringfeed::data {
namespace {

__extension__ using Uint128 = unsigned __int128;

/// SplitMix64's finaliser: a bijection of 64 bits, so different epochs of a seed never share a key.
std::uint64_t mix(std::uint64_t z) noexcept {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

}  // namespace

Key make_key(std::uint64_t seed, std::uint64_t epoch) noexcept {
  const std::uint64_t key = mix(mix(seed) ^ epoch);
  return {{static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32)}};
}

RandomStream::RandomStream(Key key, std::uint64_t position, Purpose purpose) noexcept
    : key_(key), position_(position), purpose_(purpose) {}

std::uint64_t RandomStream::next_u64() noexcept {
  const philox4x32_ctr_t counter = {{
      static_cast<std::uint32_t>(position_),
      static_cast<std::uint32_t>(position_ >> 32),
      static_cast<std::uint32_t>(purpose_) | static_cast<std::uint32_t>(key_.view) << 8 |
          static_cast<std::uint32_t>(draw_ & 0xffff) << 16,
      static_cast<std::uint32_t>(draw_ >> 16),
  }};
  const philox4x32_key_t key = {{key_.word[0], key_.word[1]}};
  ++draw_;
  const philox4x32_ctr_t block = philox4x32(counter, key);
  return block.v[0] | static_cast<std::uint64_t>(block.v[1]) << 32;
}

double RandomStream::uniform() noexcept { return static_cast<double>(next_u64() >> 11) * 0x1p-53; }

std::uint64_t RandomStream::bounded(std::uint64_t n) noexcept {
  Uint128 product = static_cast<Uint128>(next_u64()) * n;
  // The low half below 2^64 mod n marks the surplus that would make some results likelier. The
  // division is paid only where the low half is below n, hardly ever.
  if (static_cast<std::uint64_t>(product) < n) {
    const std::uint64_t surplus = (0 - n) % n;
    while (static_cast<std::uint64_t>(product) < surplus) {
      product = static_cast<Uint128>(next_u64()) * n;
    }
  }
  return static_cast<std::uint64_t>(product >> 64);
}

}  // namespace ringfeed::data
