#pragma once

#include <array>
#include <cstddef>

#include "decode/bytes.h"
#include "decode/jpeg/entropy/band_decoder.h"
#include "decode/jpeg/entropy/huffman_table.h"

namespace ringfeed::decode {

/// Decodes scans in the place of libjpeg's Huffman decoder, which is not changed: either libjpeg
/// asks for each MCU's coefficients, or PixelStage takes them. One thread's own.
class EntropyDecoder {
 public:
  explicit EntropyDecoder(const BandShape& shape = {},
                          EntropyBackend backend = EntropyBackend::streams)
      : bands_(shape, backend) {}

  /// After jpeg_start_decompress() of a file with coefficients (not a lossless one), with the bytes
  /// behind the scan's header: whether this decodes them. Not what is progressive, arithmetic or of
  /// several scans, has anything but stuffed bytes and the restarts announced up to EOI, or is
  /// small; nothing has changed then. `below`: the image row above which all lies that will be
  /// asked for.
  bool begin(jpeg_decompress_struct& cinfo, Bytes scan, int below);

  /// Only these pixel columns will be looked at.
  void set_columns(unsigned left, unsigned width);

  /// libjpeg's decode_mcu. False: what no encoder writes; libjpeg is to decode the file itself.
  bool next_mcu(JBLOCKROW* blocks);

  /// After begin(), for who takes the blocks himself: then neither of the two above is called.
  BandDecoder& bands() noexcept { return bands_; }

  const BandCounts& counts() const noexcept { return bands_.counts(); }

  static std::size_t memory_bound() noexcept;

 private:
  bool read_tables(const jpeg_decompress_struct& cinfo, Scan& scan);

  BandDecoder bands_;
  std::array<HuffmanTable, NUM_HUFF_TBLS> dc_, ac_;
  unsigned mcu_width_ = 0;  ///< pixels
  unsigned columns_ = 0, column_ = 0, first_ = 0, last_ = 0;
  std::uint32_t passed_ = 0;  ///< MCUs that libjpeg has asked for and nobody will look at
};

}  // namespace ringfeed::decode
