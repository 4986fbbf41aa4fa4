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
  // Eighths of an octave: a bucket's upper edge is at most 12.5 % above any size in it.
  static constexpr std::size_t buckets = 8 * 40;
  static std::size_t bucket_of(std::size_t bytes) noexcept;
  static std::size_t upper_edge(std::size_t bucket) noexcept;
  void recompute() noexcept;

  std::size_t most_;
  std::size_t guess_;
  std::array<std::uint32_t, buckets> count_{};
  std::uint32_t total_ = 0;
};

}  // namespace ringfeed::io
