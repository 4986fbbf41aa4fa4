#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ringfeed::io {

/// How many bytes to ask for when a file's size is unknown: learned from the files read so far,
/// because a stat is one more round trip per image. Reader thread only.
class SizeGuess {
 public:
  /// Never above `most`.
  explicit SizeGuess(std::size_t most) noexcept;

  std::size_t bytes() const noexcept { return guess_; }
  void learn(std::size_t file_bytes) noexcept;
  /// A file needs at least this: typical until learn() says otherwise.
  void raise(std::size_t bytes) noexcept;

 private:
  static constexpr std::size_t buckets = 8 * 40;  // of log_buckets.h
  void recompute() noexcept;

  std::size_t most_;
  std::size_t guess_;
  std::array<std::uint32_t, buckets> count_{};
  std::uint32_t total_ = 0;
};

}  // namespace ringfeed::io
