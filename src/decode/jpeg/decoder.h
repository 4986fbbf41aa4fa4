#pragma once

#include <cstddef>
#include <cstdint>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"
#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/entropy/entropy_decoder.h"
#include "decode/jpeg/memory.h"
#include "decode/jpeg/pixels/backend.h"
#include "decode/jpeg/pixels/pixel_stage.h"
#include "decode/max_side.h"
#include "decode/row_sink.h"
#include "decode/scratch_row.h"
#include "ringfeed/transform.h"

namespace ringfeed::decode {

struct JpegHeader;
struct JpegSession;

/// JPEG -> the region of RGB rows that the sink asks for, with Pillow's pixels
/// (Image.open().convert("RGB"), EXIF orientation not applied) and Pillow's verdict on damage.
/// One thread's own.
class JpegDecoder {
 public:
  explicit JpegDecoder(const DecodeLimits& limits,
                       EntropyBackend entropy = entropy_choice().backend,
                       PixelBackend pixels = pixel_choice().backend)
      : JpegDecoder(limits, entropy, pixels, BandShape::of(entropy)) {}
  JpegDecoder(const DecodeLimits& limits, EntropyBackend entropy, PixelBackend pixels,
              const BandShape& shape)
      : limits_(limits),
        entropy_(shape, entropy),
        entropy_backend_(entropy),
        pixel_backend_(pixels) {}

  /// `file` starts with FF D8 FF. On failure the sink may have got any number of rows.
  tl::expected<void, Failure> decode(Bytes file, RowSink& sink);

  /// What stands before the first scan, if it is within `limits`.
  static tl::expected<JpegHeader, Failure> header(Bytes file, const DecodeLimits& limits);

  /// Whether the file can neither run out of bytes nor meet an error, whatever of it is decoded: a
  /// Huffman-coded sequential one of a single scan, which runs into EOI, with usable tables. Some
  /// 10 us per 100 KB.
  static bool is_sound(Bytes file, const JpegHeader& header);

  const BandCounts& entropy_counts() const noexcept { return entropy_.counts(); }
  const PixelCounts& pixel_counts() const noexcept { return stage_.counts(); }

  /// The most bytes that decode() of this file takes beside scratch_bound(), what it refuses for
  /// want of max_decoder_bytes not counted. 5 us at most.
  static std::size_t need(Bytes file, const JpegHeader& header, const DecodeLimits& limits);
  /// The most that this is for any file.
  static std::size_t most_need(const DecodeLimits& limits) noexcept;
  /// The most bytes that stay between images.
  static std::size_t scratch_bound() noexcept;

 private:
  enum class Ending { complete, out_of_bytes, error };

  Ending run(JpegSession& session, const JpegHeader& header, EntropyDecoder* entropy, Region region,
             RowSink& sink);
  tl::expected<void, Failure> judge(JpegSession& session, Ending ending, const JpegHeader& header,
                                    const Region& region, RowSink& sink);
  void push(const std::uint8_t* pixels, int channels, int width, RowSink& sink);

  DecodeLimits limits_;
  JpegMemory memory_;
  EntropyDecoder entropy_;
  PixelStage stage_;
  EntropyBackend entropy_backend_;
  PixelBackend pixel_backend_;
  ScratchRow row_;
  ScratchRow rgb_;
  int rows_pushed_ = 0;
};

}  // namespace ringfeed::decode
