#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "decode/jpeg/entropy/band_decoder.h"
#include "decode/jpeg/pixels/idct.h"
#include "decode/row_sink.h"

namespace ringfeed::decode {

/// What has come about, for tests and statistics.
struct PixelCounts {
  std::uint64_t images = 0;   ///< whose rows have all been made
  std::uint64_t outside = 0;  ///< handed back: a block left DctBounds
};

/// Makes RGB rows of a scan's coefficients, as libjpeg does where it is asked for JDCT_ISLOW and
/// fancy upsampling. A row of MCUs at a time, of the columns around the region, which with the row
/// before stays in the first- or second-level cache. One thread's own.
class PixelStage {
 public:
  /// Of planes and rows. Wider regions are libjpeg's: than some 7,000 pixels at 4:2:0.
  static constexpr std::size_t most_bytes = std::size_t{384} << 10;

  /// After jpeg_start_decompress() with RGB wanted: whether this makes the pixels of the region,
  /// which is not empty. Of YCbCr with chroma of half the width, half width and height, or as it
  /// is, and of grey.
  bool begin(const jpeg_decompress_struct& cinfo, const Region& region);

  /// Pushes the region's rows and counts them. False: the bands have ended or are odd, or a block
  /// leaves the bounds; libjpeg is to decode the file. The rows pushed before are right.
  bool run(BandDecoder& bands, RowSink& sink, const Region& region, int& rows_pushed);

  const PixelCounts& counts() const noexcept { return counts_; }

  static constexpr std::size_t memory_bound() noexcept { return most_bytes; }

 private:
  static constexpr std::size_t most_in_mcu = 6;  ///< blocks

  /// One component's samples of the MCU columns wanted, and the last rows of them.
  struct Plane {
    std::uint8_t* row(int y) const { return samples + static_cast<std::size_t>(y & mask) * stride; }

    DctTable table;
    int wide = 0, high = 0;  ///< blocks of an MCU
    std::uint8_t* samples = nullptr;
    std::size_t stride = 0;
    int mask = 0;
  };

  /// Where a group of MCUs has the blocks of a place: the first one, and how far apart they are.
  struct Place {
    std::size_t first, step;
  };

  bool choose_layout(const jpeg_decompress_struct& cinfo);
  void order_blocks();
  void choose_columns(const Region& region);
  bool lay_out();
  bool decode_mcu_row(BandDecoder& bands, int row);
  bool decode_mcus(BandDecoder& bands, int row, int first, int count);
  void make_row(int y);
  void make_halved_row(int y, const std::uint8_t* luma);

  PixelCounts counts_;
  std::array<Plane, 3> planes_;
  std::array<Place, most_in_mcu> places_{};
  int components_ = 0, blocks_in_mcu_ = 0;
  int image_height_ = 0, chroma_width_ = 0, chroma_height_ = 0;
  int mcus_wide_ = 0, mcus_high_ = 0;
  bool halved_ = false;        ///< chroma has half the width
  bool boxes_ = false;         ///< and is too narrow for libjpeg to smooth
  int context_ = 0;            ///< rows of pixels below that chroma's smoothing looks at
  int first_ = 0, last_ = 0;   ///< MCU columns
  int left_ = 0, pixels_ = 0;  ///< what is made of each row: left_ is even, pixels_ not always

  AlignedVector<std::uint8_t> memory_;
  std::uint8_t* rgb_ = nullptr;
  std::array<std::int16_t*, 2> sums_{};  ///< of a row's chroma
  /// Blocks of a group of MCUs that two bands share.
  AlignedVector<Coefficient> copies_;
};

}  // namespace ringfeed::decode
