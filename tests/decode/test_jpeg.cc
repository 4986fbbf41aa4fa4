#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <span>
#include <string>

#include "decode/image_size.h"
#include "decode/jpeg/decoder.h"
#include "decode/jpeg/markers.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"
#include "support/greedy_files.h"

// clang-format off
#include <cstdio>  // jpeglib.h uses size_t and FILE without declaring them
#include <jpeglib.h>
// clang-format on

namespace ringfeed {
namespace {

using decode::image_size;
using decode::JpegDecoder;
using decode::PixelsSink;
using decode::Region;
using testing::claiming;
using testing::encode_jpeg;
using testing::JpegForm;
using testing::Octets;

/// Every pixel by libjpeg in the plainest way, and Pillow's CMYK formula written in real numbers.
Octets reference_rgb(const Octets& file) {
  jpeg_decompress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&cinfo, TRUE);
  const bool cmyk = cinfo.num_components == 4;
  cinfo.out_color_space = cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&cinfo);
  Octets row(std::size_t{cinfo.output_width} * 4), rgb;
  while (cinfo.output_scanline < cinfo.output_height) {
    JSAMPROW to = row.data();
    jpeg_read_scanlines(&cinfo, &to, 1);
    for (std::size_t x = 0; x < cinfo.output_width; ++x) {
      for (std::size_t c = 0; c < 3; ++c) {
        if (!cmyk) {
          rgb.push_back(row[3 * x + c]);
        } else {
          const double k = row[4 * x + 3];
          rgb.push_back(
              static_cast<std::uint8_t>(k - std::floor((255 - row[4 * x + c]) * k / 255 + 0.5)));
        }
      }
    }
  }
  jpeg_finish_decompress(&cinfo);
  jpeg_destroy_decompress(&cinfo);
  return rgb;
}

Octets cut(const Octets& rgb, int image_width, const Region& r) {
  Octets out;
  for (int y = r.top; y < r.top + r.height; ++y) {
    const auto* row =
        rgb.data() + (static_cast<std::size_t>(y) * static_cast<std::size_t>(image_width) +
                      static_cast<std::size_t>(r.left)) *
                         3;
    out.insert(out.end(), row, row + r.width * 3);
  }
  return out;
}

void check_regions(const JpegForm& form, std::mt19937& random, int count) {
  CAPTURE(form.width);
  CAPTURE(form.height);
  CAPTURE(form.components);
  CAPTURE(form.horizontal);
  CAPTURE(form.vertical);
  CAPTURE(form.progressive);
  CAPTURE(form.restart_interval);
  const Octets file = encode_jpeg(form);
  const Octets whole = reference_rgb(file);
  JpegDecoder decoder{DecodeLimits{}};
  const auto between = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int i = 0; i < count; ++i) {
    Region r{0, 0, form.height, form.width};
    if (i > 0) {
      r.height = between(1, i % 3 == 0 ? std::min(4, form.height) : form.height);
      r.width = between(1, i % 2 == 0 ? std::min(5, form.width) : form.width);
      r.top = between(0, form.height - r.height);
      r.left = between(0, form.width - r.width);
    }
    CAPTURE(r.top);
    CAPTURE(r.left);
    CAPTURE(r.height);
    CAPTURE(r.width);
    PixelsSink sink([&](int, int) { return r; });
    const auto done = decoder.decode(file, sink);
    REQUIRE(done.has_value());
    REQUIRE(sink.rows == r.height);
    CHECK(sink.pixels == cut(whole, form.width, r));
  }
}

TEST_CASE("any region has the pixels of a full decode, whatever the sampling") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  const int samplings[][2] = {{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}, {4, 2}, {1, 4}, {2, 4}};
  const int sizes[][2] = {{1, 1},   {7, 9},     {16, 16}, {17, 33}, {64, 48},
                          {65, 47}, {200, 130}, {3, 300}, {131, 2}};
  for (const auto& sampling : samplings) {
    for (const auto& size : sizes) {
      for (const int restart : {0, 3}) {
        JpegForm form;
        form.horizontal = sampling[0];
        form.vertical = sampling[1];
        form.width = size[0];
        form.height = size[1];
        form.restart_interval = restart;
        form.seed = static_cast<std::uint32_t>(random());
        check_regions(form, random, 20);
      }
    }
  }
}

TEST_CASE("grey, CMYK, RGB, progressive, arithmetic and separate scans give their regions too") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  for (const int size : {1, 8, 9, 16, 33, 120}) {
    JpegForm base;
    base.width = size;
    base.height = size + 5;
    std::vector<JpegForm> forms(9, base);
    forms[0].components = 1;
    forms[1].components = 4;
    forms[2].rgb = true;
    forms[2].horizontal = forms[2].vertical = 1;
    forms[3].progressive = true;
    forms[4].arithmetic = true;
    forms[5].interleaved = false;
    forms[6].progressive = true;
    forms[6].components = 4;
    forms[7].progressive = true;
    forms[7].arithmetic = true;
    forms[8].components = 1;
    forms[8].horizontal = forms[8].vertical = 1;
    for (const JpegForm& form : forms) check_regions(form, random, 12);
  }
}

TEST_CASE("a region without pixels asks for none") {
  JpegForm form;
  for (const bool progressive : {false, true}) {
    form.progressive = progressive;
    const Octets file = encode_jpeg(form);
    for (const Region region : {Region{}, Region{3, 3, 0, 9}, Region{3, 3, 9, 0}}) {
      PixelsSink sink([&](int, int) { return region; });
      CHECK(JpegDecoder{DecodeLimits{}}.decode(file, sink).has_value());
      CHECK(sink.rows == 0);
    }
  }
}

TEST_CASE("the limits refuse by the option's name") {
  JpegForm form;
  form.progressive = true;
  form.width = 400;
  form.height = 300;
  const Octets file = encode_jpeg(form);
  const auto refusal = [&](DecodeLimits limits) {
    PixelsSink sink;
    const auto done = JpegDecoder(limits).decode(file, sink);
    return done ? Option::none : done.error().option;
  };
  DecodeLimits limits;
  CHECK(refusal(limits) == Option::none);
  limits.max_pixels = 400 * 300;
  CHECK(refusal(limits) == Option::none);
  limits.max_pixels -= 1;
  CHECK(refusal(limits) == Option::max_pixels);
  limits = {};
  limits.max_scans = 10;
  CHECK(refusal(limits) == Option::none);
  limits.max_scans = 5;
  CHECK(refusal(limits) == Option::max_scans);
  limits = {};
  limits.max_decoder_bytes = 1 << 20;
  CHECK(refusal(limits) == Option::none);
  limits.max_decoder_bytes = 200'000;
  CHECK(refusal(limits) == Option::max_decoder_bytes);
}

TEST_CASE("the larger an image is, the fewer scans it may have, down to a tenth") {
  JpegForm form;
  form.progressive = true;  // of 10 scans
  form.noise = 0;
  form.height = 1000;
  const auto least = [&](int megapixels) {
    form.width = 1000 * megapixels;
    const Octets file = encode_jpeg(form);
    DecodeLimits limits;
    for (limits.max_scans = 1;; ++limits.max_scans) {
      PixelsSink sink([](int, int) { return Region{}; });
      const auto done = JpegDecoder(limits).decode(file, sink);
      if (done) return limits.max_scans;
      CHECK(done.error().option == Option::max_scans);
    }
  };
  CHECK(least(1) == 10);
  CHECK(least(2) == 13);
  CHECK(least(3) == 19);
  CHECK(least(16) == 100);
  CHECK(least(20) == 100);
  form.arithmetic = true;  // takes four times as long
  CHECK(least(1) == 40);
  CHECK(least(2) == 50);
}

TEST_CASE(
    "a side beyond libjpeg's is refused by the header, and black where truncated files load") {
  const auto words = [](const auto& result) { return result ? "" : result.error().detail; };
  DecodeLimits limits;
  for (const auto& [height, width] : {std::array{48, 65501}, {65501, 48}, {1, 65535}}) {
    CAPTURE(height);
    CAPTURE(width);
    const Octets file = claiming(encode_jpeg({}), height, width);
    limits.load_truncated = false;
    PixelsSink sink;
    const auto done = JpegDecoder(limits).decode(file, sink);
    CHECK(words(done).find("image dimension is 65500 pixels") != std::string::npos);
    CHECK_MESSAGE(sink.height == 0, "no region was asked for");
    CHECK(words(JpegDecoder::header(file, limits)) == words(done));
    CHECK(words(image_size(std::as_bytes(std::span(file)), limits)) == words(done));

    limits.load_truncated = true;
    const auto size = image_size(std::as_bytes(std::span(file)), limits);
    REQUIRE(size);
    CHECK(size->height == height);
    CHECK(size->width == width);
    REQUIRE(JpegDecoder(limits).decode(file, sink));
    CHECK(sink.pixels == Octets(sink.pixels.size(), 0));
    CHECK(sink.rows == height);
  }
  limits.load_truncated = false;
  CHECK(JpegDecoder::header(claiming(encode_jpeg({}), 48, 65500), limits));
}

}  // namespace
}  // namespace ringfeed
