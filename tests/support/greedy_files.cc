#include "support/greedy_files.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace ringfeed::testing {

Octets claiming(Octets jpeg, int height, int width, int sampling) {
  for (std::size_t i = 2; i + 8 < jpeg.size();) {
    if (jpeg[i + 1] >= 0xC0 && jpeg[i + 1] <= 0xC2) {
      const std::array sides{height >> 8, height & 255, width >> 8, width & 255};
      std::copy(sides.begin(), sides.end(), jpeg.begin() + static_cast<std::ptrdiff_t>(i) + 5);
      const std::size_t components = jpeg[i + 9];
      for (std::size_t c = 0; sampling != 0 && c < components; ++c) {
        jpeg[i + 11 + 3 * c] = static_cast<std::uint8_t>(sampling);
      }
      break;
    }
    i += std::size_t{2} + jpeg[i + 2] * std::size_t{256} + jpeg[i + 3];
  }
  return jpeg;
}

std::vector<GreedyJpeg> greedy_jpegs() {
  std::vector<GreedyJpeg> jpegs;
  JpegForm form;
  for (int components : {1, 3, 4}) {
    for (int vertical : {1, 2, 4}) {
      form = {};
      form.components = components;
      form.horizontal = vertical == 4 ? 1 : 2;
      form.vertical = vertical;
      jpegs.push_back({claiming(encode_jpeg(form), 48, 65500)});
      jpegs.push_back({claiming(encode_jpeg(form), 65500, 48)});
      form.progressive = true;
      jpegs.push_back({claiming(encode_jpeg(form), 48, 65500)});
      jpegs.push_back({claiming(encode_jpeg(form), 160, 65500, 0x14), false});
      jpegs.push_back({claiming(encode_jpeg(form), 2000, 2500), false});
      jpegs.push_back({claiming(encode_jpeg(form), 3000, 5000), false});
      form.progressive = false;
      form.interleaved = false;
      jpegs.push_back({claiming(encode_jpeg(form), 2000, 2500), false});
    }
  }
  return jpegs;
}

std::vector<Octets> greedy_pngs() {
  std::vector<Octets> pngs;
  PngForm form;
  form.color_type = 6;
  for (const auto& [height, width] : {std::array{2, 65535}, {1000, 1000}}) {
    for (const bool interlaced : {false, true}) {
      for (const int depth : {8, 16}) {
        form.height = height;
        form.width = width;
        form.interlaced = interlaced;
        form.bit_depth = depth;
        pngs.push_back(encode_png(form).file);
      }
    }
  }
  return pngs;
}

DecodeLimits just_enough_for_pngs() {
  DecodeLimits limits;
  limits.max_decoder_bytes = 1000 * 1000 * 4 + 1000 * (2 * 8 + 3);
  return limits;
}

}  // namespace ringfeed::testing
