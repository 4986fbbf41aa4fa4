#pragma once

#include <cstddef>
#include <cstdint>

namespace ringfeed::decode {

/// Bytes of pixels that may be read behind a row's end, and that may be written behind a row of
/// RGB.
inline constexpr std::size_t color_slack = 192;

/// Chroma of half the luma's width, weighted from two of its rows: sums [-1] to [count] are the
/// samples, times 4 (3 of the nearer, 1 of the farther), and the outermost ones once more.
/// `sums` has room for color_slack bytes behind them. `left`, `right`: whether the chroma begins
/// and ends there; otherwise what stands beside it is read.
void sum_chroma_rows(const std::uint8_t* nearer, const std::uint8_t* farther, std::size_t count,
                     bool left, bool right, std::int16_t* sums);

/// How halves of a level are rounded in the left and the right pixel of a chroma sample, in
/// sixteenths. libjpeg's "fancy upsampling" does it in one way where rows are halved too, and in
/// the other where they are not.
struct ChromaRounding {
  int left, right;
};
inline constexpr ChromaRounding halved_rows{8, 7}, whole_rows{7, 8};

/// 2 * `count` pixels.
void halved_chroma_to_rgb(const std::uint8_t* luma, const std::int16_t* cb, const std::int16_t* cr,
                          ChromaRounding rounding, std::size_t count, std::uint8_t* rgb);

/// Chroma of the luma's width.
void whole_chroma_to_rgb(const std::uint8_t* luma, const std::uint8_t* cb, const std::uint8_t* cr,
                         std::size_t count, std::uint8_t* rgb);

void grey_to_rgb(const std::uint8_t* luma, std::size_t count, std::uint8_t* rgb);

}  // namespace ringfeed::decode
