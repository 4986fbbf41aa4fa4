#include "decode/jpeg/entropy/entropy_decoder.h"

namespace ringfeed::decode {

std::size_t EntropyDecoder::memory_bound() noexcept {
  return sizeof(EntropyDecoder) + BandDecoder::memory_bound({});
}

bool EntropyDecoder::begin(const jpeg_decompress_struct& cinfo, Bytes scan, int below) {
  const bool sequential = !cinfo.progressive_mode && !cinfo.arith_code &&
                          cinfo.comps_in_scan == cinfo.num_components &&
                          cinfo.restart_interval == 0;
  if (!sequential) return false;

  Scan found;
  found.blocks_in_mcu = cinfo.blocks_in_MCU;
  std::array<bool, NUM_HUFF_TBLS> has_dc{}, has_ac{};
  for (std::size_t i = 0; i < static_cast<std::size_t>(cinfo.blocks_in_MCU); ++i) {
    const int component = cinfo.MCU_membership[i];
    const jpeg_component_info& of = *cinfo.cur_comp_info[component];
    const auto dc = static_cast<std::size_t>(of.dc_tbl_no),
               ac = static_cast<std::size_t>(of.ac_tbl_no);
    if (!has_dc[dc]) dc_[dc].build(*cinfo.dc_huff_tbl_ptrs[dc], true);
    if (!has_ac[ac]) ac_[ac].build(*cinfo.ac_huff_tbl_ptrs[ac], false);
    has_dc[dc] = has_ac[ac] = true;
    found.component[i] = static_cast<std::uint8_t>(component);
    found.dc[i] = &dc_[dc];
    found.ac[i] = &ac_[ac];
  }
  const auto in_mcu = static_cast<std::uint32_t>(cinfo.blocks_in_MCU);
  const std::uint32_t row = in_mcu * cinfo.MCUs_per_row;
  found.blocks = row * cinfo.MCU_rows_in_scan;
  // One MCU row more: upsampling looks at the rows below.
  const auto height = static_cast<std::uint32_t>(cinfo.image_height);
  const std::uint32_t rows =
      static_cast<std::uint32_t>(std::uint64_t{cinfo.MCU_rows_in_scan} *
                                 static_cast<std::uint32_t>(below) / height) +
      1;
  const int blocks_wide = cinfo.comps_in_scan == 1 ? 1 : cinfo.max_h_samp_factor;
  mcu_width_ = static_cast<unsigned>(DCTSIZE * blocks_wide);
  columns_ = cinfo.MCUs_per_row;
  column_ = first_ = 0;
  last_ = columns_;
  return bands_.begin(found, scan, row * rows);
}

void EntropyDecoder::set_columns(unsigned left, unsigned width) {
  first_ = left / mcu_width_;
  last_ = (left + width + mcu_width_ - 1) / mcu_width_;
}

bool EntropyDecoder::next_mcu(JBLOCKROW* blocks) {
  const bool wanted = blocks != nullptr && column_ >= first_ && column_ < last_;
  column_ = column_ + 1 == columns_ ? 0 : column_ + 1;
  if (!wanted) return bands_.next_mcu(nullptr);
  std::array<Coefficient*, most_blocks_in_mcu> to{};
  for (std::size_t i = 0; i < most_blocks_in_mcu; ++i) to[i] = blocks[i][0];
  return bands_.next_mcu(to.data());
}

}  // namespace ringfeed::decode
