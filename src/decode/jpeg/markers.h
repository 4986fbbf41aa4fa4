#pragma once

#include <cstddef>
#include <cstdint>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"

namespace ringfeed::decode {

/// What stands before the first scan.
struct JpegHeader {
  int height = 0, width = 0;
  int components = 0;  ///< 1, 3 or 4
  bool lossless = false;
  bool arithmetic = false;  ///< not Huffman-coded
  std::size_t scan = 0;     ///< offset of the first scan's entropy-coded bytes
};

/// Walks the segments up to the first scan and refuses what Pillow's JpegImagePlugin refuses there
/// (PIL 13.0.0, JpegImageFile._open): that code is stricter than libjpeg about some segments, and
/// its verdict also stands under LOAD_TRUNCATED_IMAGES, where libjpeg's does not.
tl::expected<JpegHeader, Failure> read_jpeg_header(Bytes file);

/// True for a marker of libjpeg's that begins a frame, which may be the file's second.
bool begins_frame(int marker) noexcept;

/// True for the two bytes of EOI.
bool begins_eoi(const std::uint8_t* bytes) noexcept;

/// True for the two bytes of the restart of this number, which counts from 0.
bool begins_restart(const std::uint8_t* bytes, std::uint32_t number) noexcept;

/// True if the entropy-coded bytes run into EOI with nothing between but stuffed bytes and restart
/// markers. Then decoding the only scan of a Huffman-coded sequential file can neither run out of
/// bytes nor meet an error that a partial decode would miss.
/// 6 us per 100 KB: one memchr a 0xFF, and those are every ~250 bytes.
bool scan_ends_in_eoi(Bytes scan) noexcept;

}  // namespace ringfeed::decode
