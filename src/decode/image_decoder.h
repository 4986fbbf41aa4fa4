#pragma once

#include <cstddef>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"
#include "decode/image_size.h"
#include "decode/jpeg/decoder.h"
#include "decode/png/decoder.h"
#include "decode/row_sink.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {

/// JPEG or PNG, told by the first bytes -> the region of RGB rows that the sink asks for. One
/// thread's own; owns libjpeg's and libpng's state, and keeps their scratch memory from image to
/// image.
class ImageDecoder {
 public:
  explicit ImageDecoder(const DecodeLimits& limits) : jpeg_(limits), png_(limits) {}

  /// On failure the sink may have got any number of rows.
  tl::expected<void, Failure> decode(Bytes file, RowSink& sink);

  /// What decoding a file takes beside what one decoder keeps from image to image.
  struct Need {
    ImageSize size;
    std::size_t bytes = 0;
  };
  /// The most bytes, libjpeg's and libpng's included; or the failure that decode() would begin
  /// with.
  static tl::expected<Need, Failure> need(Bytes file, const DecodeLimits& limits);
  /// The most that this is for any file.
  static std::size_t most_need(const DecodeLimits& limits) noexcept;
  /// The most bytes that one keeps.
  static std::size_t scratch_bound() noexcept;

 private:
  JpegDecoder jpeg_;
  PngDecoder png_;
};

}  // namespace ringfeed::decode
