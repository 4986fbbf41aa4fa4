#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfeed::decode {

/// A part of an image, in its pixels. Height or width may be 0: nothing of it is wanted.
struct Region {
  int top = 0, left = 0, height = 0, width = 0;
};

/// Bytes past a row's end that push_row() may read (their values do not matter).
inline constexpr std::size_t row_slack = 128;

/// Where a file format's decoder sends its pixels: it announces the size as soon as the header is
/// known, learns which part is wanted, and pushes exactly that part. Lets the formats be tested
/// without a resize and keeps geometry out of them.
class RowSink {
 public:
  virtual ~RowSink() = default;
  /// Called once per image, before anything of its size is allocated.
  virtual Region begin(int height, int width) = 0;
  /// The next row of the region: region.width RGB triples, then row_slack readable
  /// bytes.
  virtual void push_row(const std::uint8_t* rgb) = 0;
};

}  // namespace ringfeed::decode
