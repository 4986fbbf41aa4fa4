#include "decode/jpeg/entropy/entropy_decoder.h"

#include <algorithm>
#include <utility>

namespace ringfeed::decode {

std::size_t EntropyDecoder::memory_bound() noexcept {
  return sizeof(EntropyDecoder) +
         std::max(BandDecoder::memory_bound(BandShape::of(EntropyBackend::streams)),
                  BandDecoder::memory_bound(BandShape::of(EntropyBackend::lanes)));
}

bool EntropyDecoder::begin(jpeg_decompress_struct& cinfo, Bytes scan, int below) {
  // Of several scans libjpeg has read the last.
  const bool sequential = !cinfo.progressive_mode && !cinfo.arith_code &&
                          cinfo.comps_in_scan == cinfo.num_components &&
                          !jpeg_has_multiple_scans(&cinfo);
  const std::uint32_t mcus = cinfo.MCUs_per_row * cinfo.MCU_rows_in_scan;
  const std::uint32_t restarts =
      cinfo.restart_interval == 0 ? 0 : (mcus - 1) / cinfo.restart_interval;
  // The tables last: for a small scan they would cost more than they save.
  Scan found;
  if (!sequential || !bands_.open(scan, restarts) || !read_tables(cinfo, found)) return false;
  const auto in_mcu = static_cast<std::uint32_t>(found.blocks_in_mcu);
  const std::uint32_t row = in_mcu * cinfo.MCUs_per_row;
  found.blocks = in_mcu * mcus;
  found.interval = in_mcu * cinfo.restart_interval;
  // One MCU row more: upsampling looks at the rows below.
  const std::uint64_t rows = std::uint64_t{cinfo.MCU_rows_in_scan} *
                                 static_cast<std::uint32_t>(below) / cinfo.image_height +
                             1;
  const int blocks_wide = cinfo.comps_in_scan == 1 ? 1 : cinfo.max_h_samp_factor;
  mcu_width_ = static_cast<unsigned>(DCTSIZE * blocks_wide);
  columns_ = cinfo.MCUs_per_row;
  column_ = first_ = passed_ = 0;
  last_ = columns_;
  bands_.begin(found, row * static_cast<std::uint32_t>(rows));
  return true;
}

/// False where a table is missing or is none, which libjpeg has then not looked at either.
bool EntropyDecoder::read_tables(const jpeg_decompress_struct& cinfo, Scan& scan) {
  std::array<bool, NUM_HUFF_TBLS> has_dc{}, has_ac{};
  scan.blocks_in_mcu = cinfo.blocks_in_MCU;
  for (std::size_t i = 0; i < static_cast<std::size_t>(cinfo.blocks_in_MCU); ++i) {
    const int component = cinfo.MCU_membership[i];
    const jpeg_component_info& of = *cinfo.cur_comp_info[component];
    const auto dc = static_cast<std::size_t>(of.dc_tbl_no);
    const auto ac = static_cast<std::size_t>(of.ac_tbl_no);
    if (dc >= NUM_HUFF_TBLS || ac >= NUM_HUFF_TBLS) return false;
    if (cinfo.dc_huff_tbl_ptrs[dc] == nullptr || cinfo.ac_huff_tbl_ptrs[ac] == nullptr)
      return false;
    if (!has_dc[dc] && !dc_[dc].build(*cinfo.dc_huff_tbl_ptrs[dc], true)) return false;
    if (!has_ac[ac] && !ac_[ac].build(*cinfo.ac_huff_tbl_ptrs[ac], false)) return false;
    has_dc[dc] = has_ac[ac] = true;
    scan.component[i] = static_cast<std::uint8_t>(component);
    scan.dc[i] = &dc_[dc];
    scan.ac[i] = &ac_[ac];
  }
  return true;
}

void EntropyDecoder::set_columns(unsigned left, unsigned width) {
  first_ = left / mcu_width_;
  last_ = (left + width + mcu_width_ - 1) / mcu_width_;
}

bool EntropyDecoder::next_mcu(JBLOCKROW* blocks) {
  const bool wanted = blocks != nullptr && column_ >= first_ && column_ < last_;
  column_ = column_ + 1 == columns_ ? 0 : column_ + 1;
  if (!wanted) {
    ++passed_;
    return true;
  }
  return bands_.pass_over(std::exchange(passed_, 0)) && bands_.next_mcu(blocks);
}

}  // namespace ringfeed::decode
