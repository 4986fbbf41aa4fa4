#include "decode/jpeg/pixels/pixel_stage.h"

#include <algorithm>
#include <cstring>

#include "decode/jpeg/pixels/color.h"

namespace ringfeed::decode {
namespace {

/// MCUs whose blocks are transformed at a time: they come from the second-level cache.
constexpr int group = 8;
/// The group's blocks in a row of the image's.
constexpr std::size_t row_of_group = 2 * group;

/// libjpeg smooths chroma that is wider.
constexpr int widest_box = 2;

alignas(64) constexpr Coefficient no_block[block_size] = {};

constexpr int to_multiple(int value, int of) { return (value + of - 1) / of * of; }

/// In units of the vectors' alignment.
constexpr std::size_t padded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

bool is_once(const jpeg_component_info& component) {
  return component.h_samp_factor == 1 && component.v_samp_factor == 1;
}

}  // namespace

bool PixelStage::begin(const jpeg_decompress_struct& cinfo, const Region& region) {
  if (!choose_layout(cinfo)) return false;
  choose_columns(region);
  if (!lay_out()) return false;
  for (int c = 0; c < components_; ++c) {
    planes_[static_cast<std::size_t>(c)].table.set(*cinfo.comp_info[c].quant_table);
  }
  return true;
}

bool PixelStage::choose_layout(const jpeg_decompress_struct& cinfo) {
  const jpeg_component_info* const info = cinfo.comp_info;
  if (cinfo.data_precision != 8 || cinfo.out_color_space != JCS_RGB) return false;
  components_ = cinfo.num_components;
  for (int c = 0; c < components_; ++c) {
    if (c == 3 || cinfo.cur_comp_info[c] != &info[c] || info[c].quant_table == nullptr)
      return false;
  }
  Plane& luma = planes_[0];
  luma.wide = luma.high = 1;
  if (components_ == 1) {  // a scan of one component has one block an MCU, whatever its sampling
    if (cinfo.jpeg_color_space != JCS_GRAYSCALE) return false;
  } else {
    if (cinfo.jpeg_color_space != JCS_YCbCr || !is_once(info[1]) || !is_once(info[2])) return false;
    luma.wide = info[0].h_samp_factor;
    luma.high = info[0].v_samp_factor;
    if (luma.wide > 2 || luma.high > luma.wide) return false;
    planes_[1].wide = planes_[1].high = planes_[2].wide = planes_[2].high = 1;
    chroma_width_ = static_cast<int>(info[1].downsampled_width);
    chroma_height_ = static_cast<int>(info[1].downsampled_height);
  }
  blocks_in_mcu_ = cinfo.blocks_in_MCU;
  image_height_ = static_cast<int>(cinfo.image_height);
  mcus_wide_ = static_cast<int>(cinfo.MCUs_per_row);
  mcus_high_ = static_cast<int>(cinfo.MCU_rows_in_scan);
  order_blocks();
  halved_ = luma.wide == 2;
  boxes_ = halved_ && chroma_width_ <= widest_box;
  context_ = luma.high == 2 && !boxes_ ? 1 : 0;
  return true;
}

void PixelStage::order_blocks() {
  std::size_t place = 0, row = 0;
  for (int c = 0; c < components_; ++c) {
    const Plane& plane = planes_[static_cast<std::size_t>(c)];
    const auto wide = static_cast<std::size_t>(plane.wide);
    for (int v = 0; v < plane.high; ++v, row += row_of_group) {
      for (std::size_t h = 0; h < wide; ++h) places_[place++] = {row + h, wide};
    }
  }
}

void PixelStage::choose_columns(const Region& region) {
  const int right = region.left + region.width;
  left_ = halved_ ? region.left / 2 * 2 : region.left;
  pixels_ = right - left_;
  const int scale = halved_ ? 2 : 1;
  const int beside = halved_ && !boxes_ ? 1 : 0;  // samples
  first_ = std::max(0, left_ / scale - beside) / DCTSIZE;
  last_ = std::min(mcus_wide_, ((right - 1) / scale + beside) / DCTSIZE + 1);
}

/// All of it in one piece of memory, which stays. False: that is too much.
bool PixelStage::lay_out() {
  const std::size_t copies = group * most_in_mcu * block_size;
  std::size_t bytes = 0;
  const auto place = [&bytes](std::size_t size) {
    const std::size_t at = bytes;
    bytes += padded(size);
    return at;
  };
  std::array<std::size_t, 3> samples{};
  for (int c = 0; c < components_; ++c) {
    Plane& plane = planes_[static_cast<std::size_t>(c)];
    const int columns = to_multiple((last_ - first_) * plane.wide, dct_group) * DCTSIZE;
    const int rows = plane.high * DCTSIZE << context_;
    plane.stride = padded(static_cast<std::size_t>(columns) + color_slack);
    plane.mask = rows - 1;
    samples[static_cast<std::size_t>(c)] = place(plane.stride * static_cast<std::size_t>(rows));
  }
  const auto pixels = static_cast<std::size_t>(pixels_);
  const std::size_t rgb = place(3 * (pixels + 1) + color_slack + row_slack);
  std::array<std::size_t, 2> sums{};
  for (std::size_t& at : sums) {
    at = place(64 + (pixels / 2 + 2) * sizeof(std::int16_t) + color_slack);
  }
  if (bytes + copies * sizeof(Coefficient) > most_bytes) return false;
  if (memory_.size() < bytes) {
    memory_ = AlignedVector<std::uint8_t>();  // never two of them
    memory_.resize(bytes);
  }
  copies_.resize(copies);
  for (std::size_t c = 0; c < 3; ++c) planes_[c].samples = memory_.data() + samples[c];
  for (std::size_t c = 0; c < 2; ++c) {
    sums_[c] = reinterpret_cast<std::int16_t*>(memory_.data() + sums[c] + 64);
  }
  rgb_ = memory_.data() + rgb;
  return true;
}

bool PixelStage::run(BandDecoder& bands, RowSink& sink, const Region& region, int& rows_pushed) {
  const int below = region.top + region.height;
  const int mcu_height = planes_[0].high * DCTSIZE;
  const int first = std::max(0, region.top - context_) / mcu_height;
  if (!bands.pass_over(static_cast<std::uint32_t>(first * mcus_wide_))) return false;
  int y = region.top;
  for (int row = first; y < below; ++row) {
    if (!decode_mcu_row(bands, row)) return false;
    const int made = row + 1 == mcus_high_ ? image_height_ : (row + 1) * mcu_height - context_;
    for (; y < std::min(made, below); ++y) {
      make_row(y);
      sink.push_row(rgb_ + std::ptrdiff_t{3} * (region.left - left_));
      ++rows_pushed;
    }
  }
  ++counts_.images;
  return true;
}

bool PixelStage::decode_mcu_row(BandDecoder& bands, int row) {
  if (!bands.pass_over(static_cast<std::uint32_t>(first_))) return false;
  for (int mcu = first_; mcu < last_; mcu += group) {
    if (!decode_mcus(bands, row, mcu, std::min(group, last_ - mcu))) return false;
  }
  return bands.pass_over(static_cast<std::uint32_t>(mcus_wide_ - last_));
}

bool PixelStage::decode_mcus(BandDecoder& bands, int row, int first, int count) {
  std::array<const Coefficient*, 4 * row_of_group> blocks;
  std::array<const Coefficient*, most_in_mcu> of_mcu;
  const auto in_mcu = static_cast<std::size_t>(blocks_in_mcu_);
  // Blocks of a band go where another is decoded.
  const bool stay = bands.ready() >= static_cast<std::uint32_t>(count * blocks_in_mcu_);
  Coefficient* copy = copies_.data();
  for (std::size_t mcu = 0; mcu < static_cast<std::size_t>(count); ++mcu) {
    if (!bands.next_blocks(of_mcu.data())) return false;
    for (std::size_t i = 0; i < in_mcu; ++i) {
      if (!stay) {
        std::memcpy(copy, of_mcu.data()[i], block_size * sizeof(Coefficient));
        of_mcu.data()[i] = copy;
        copy += block_size;
      }
      const Place& place = places_.data()[i];
      blocks.data()[place.first + mcu * place.step] = of_mcu.data()[i];
    }
  }
  bool inside = true;
  const Coefficient** of_row = blocks.data();
  for (int c = 0; c < components_; ++c) {
    const Plane& plane = planes_[static_cast<std::size_t>(c)];
    const int wide = count * plane.wide, padded = to_multiple(wide, dct_group);
    const std::ptrdiff_t column = std::ptrdiff_t{DCTSIZE} * (first - first_) * plane.wide;
    for (int v = 0; v < plane.high; ++v, of_row += row_of_group) {
      std::fill(of_row + wide, of_row + padded, no_block);
      inside &= inverse_dct(plane.table, of_row, padded,
                            plane.row((row * plane.high + v) * DCTSIZE) + column, plane.stride);
    }
  }
  counts_.outside += !inside;
  return inside;
}

void PixelStage::make_row(int y) {
  const Plane& luma = planes_[0];
  const std::uint8_t* const from = luma.row(y) + (left_ - first_ * luma.wide * DCTSIZE);
  const auto pixels = static_cast<std::size_t>(pixels_);
  if (components_ == 1) {
    grey_to_rgb(from, pixels, rgb_);
  } else if (halved_) {
    make_halved_row(y, from);
  } else {
    const std::ptrdiff_t at = left_ - first_ * DCTSIZE;
    whole_chroma_to_rgb(from, planes_[1].row(y) + at, planes_[2].row(y) + at, pixels, rgb_);
  }
}

void PixelStage::make_halved_row(int y, const std::uint8_t* luma) {
  const bool halved_height = planes_[0].high == 2;
  const int row = halved_height ? y / 2 : y, column = left_ / 2 - first_ * DCTSIZE;
  const auto count = static_cast<std::size_t>((pixels_ + 1) / 2);
  if (boxes_) {
    std::uint8_t doubled[2][2 * widest_box + color_slack] = {};
    for (std::size_t c = 0; c < 2; ++c) {
      const std::uint8_t* const from = planes_[c + 1].row(row) + column;
      for (std::size_t i = 0; i < 2 * count; ++i) doubled[c][i] = from[i / 2];
    }
    whole_chroma_to_rgb(luma, doubled[0], doubled[1], 2 * count, rgb_);
    return;
  }
  const int beside =
      halved_height ? std::clamp(y % 2 == 0 ? row - 1 : row + 1, 0, chroma_height_ - 1) : row;
  for (std::size_t c = 0; c < 2; ++c) {
    const Plane& plane = planes_[c + 1];
    sum_chroma_rows(plane.row(row) + column, plane.row(beside) + column, count, left_ == 0,
                    left_ / 2 + static_cast<int>(count) == chroma_width_, sums_[c]);
  }
  halved_chroma_to_rgb(luma, sums_[0], sums_[1], halved_height ? halved_rows : whole_rows, count,
                       rgb_);
}

}  // namespace ringfeed::decode
