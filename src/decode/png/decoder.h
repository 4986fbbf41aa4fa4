#pragma once

#include <cstddef>
#include <cstdint>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"
#include "decode/max_side.h"
#include "decode/png/chunks.h"
#include "decode/row_sink.h"
#include "decode/scratch_row.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {

struct PngSession;

/// PNG -> the region of RGB rows that the sink asks for, with the pixels of Pillow's
/// Image.open().convert("RGB"): alpha dropped, 16-bit colour cut to its high byte, 16-bit grey
/// clipped to 255 (so almost white; that is what Pillow does). One thread's own.
class PngDecoder {
 public:
  explicit PngDecoder(const DecodeLimits& limits) : limits_(limits) {}

  /// `file` starts with the PNG signature. On failure the sink may have got any number of rows.
  tl::expected<void, Failure> decode(Bytes file, RowSink& sink);

  /// What stands before the image data, if it is within `limits`.
  static tl::expected<PngHeader, Failure> header(Bytes file, const DecodeLimits& limits);

  /// The most bytes that decode() of a file takes beside scratch_bound.
  static std::size_t need(const PngHeader& header) noexcept;
  /// The most that this is for any file.
  static std::size_t most_need(const DecodeLimits& limits) noexcept;
  /// The most bytes that stay between images.
  static constexpr std::size_t scratch_bound = ScratchRow::memory_bound(max_side * 3);

 private:
  bool run(PngSession& session, const PngHeader& header, std::uint8_t* rows, Region region,
           RowSink& sink);
  void push(const PngHeader& header, const std::uint8_t* row, Region region, RowSink& sink);

  DecodeLimits limits_;
  ScratchRow rgb_;
  int rows_pushed_ = 0;
};

}  // namespace ringfeed::decode
