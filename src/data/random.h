#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfeed::data {

/// What a draw is for: a part of the Philox counter, so that streams never meet.
enum class Purpose : std::uint8_t {
  order = 0,
  crop = 1,
  augment = 2,
  replacement = 3,
  mixing = 4,
  erase = 5,
  noise = 6,
};

/// Whose draws: the Philox4x32-10 key of an epoch, which is SplitMix64's finaliser over seed, then
/// epoch; and the view of the sample, a part of the counter.
struct Key {
  std::uint32_t word[2];
  std::uint8_t view = 0;
};
Key make_key(std::uint64_t seed, std::uint64_t epoch) noexcept;
/// The same epoch's for the draws of another view.
inline Key of_view(Key key, std::size_t view) noexcept {
  key.view = static_cast<std::uint8_t>(view);
  return key;
}

/// The draws of one (position, purpose): a pure function of (key, position, purpose, draw number).
/// Counter words: position low, position high, purpose | view << 8 | draw[15:0] << 16, draw[47:16].
class RandomStream {
 public:
  RandomStream(Key key, std::uint64_t position, Purpose purpose) noexcept;

  std::uint64_t next_u64() noexcept;
  /// [0, 1): (u64 >> 11) * 2^-53.
  double uniform() noexcept;
  /// [0, n), n > 0: Lemire's method with rejection; each rejection is one draw.
  std::uint64_t bounded(std::uint64_t n) noexcept;

 private:
  Key key_;
  std::uint64_t position_;
  Purpose purpose_;
  std::uint64_t draw_ = 0;
};

}  // namespace ringfeed::data
