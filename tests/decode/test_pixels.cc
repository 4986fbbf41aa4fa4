#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/pixels/color.h"
#include "decode/jpeg/session.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using decode::BandShape;
using decode::EntropyBackend;
using decode::JpegDecoder;
using decode::PixelBackend;
using decode::PixelsSink;
using decode::Region;
using testing::encode_jpeg;
using testing::JpegForm;
using testing::Octets;

struct Image {
  int height = 0, width = 0;
  Octets rgb;

  Octets part(const Region& r) const {
    Octets pixels;
    for (int y = r.top; y < r.top + r.height; ++y) {
      const auto* const from = rgb.data() + (std::ptrdiff_t{y} * width + r.left) * 3;
      pixels.insert(pixels.end(), from, from + std::ptrdiff_t{3} * r.width);
    }
    return pixels;
  }
};

/// By libjpeg as its manual says. These files have no errors.
Image by_libjpeg(const Octets& file) {
  jpeg_decompress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  errors.emit_message = [](j_common_ptr, int) {};
  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&cinfo, TRUE);
  cinfo.out_color_space = JCS_RGB;
  jpeg_start_decompress(&cinfo);
  Image image{static_cast<int>(cinfo.output_height), static_cast<int>(cinfo.output_width), {}};
  image.rgb.resize(std::size_t{cinfo.output_height} * cinfo.output_width * 3);
  while (cinfo.output_scanline < cinfo.output_height) {
    JSAMPROW row = image.rgb.data() + std::size_t{cinfo.output_scanline} * cinfo.output_width * 3;
    jpeg_read_scanlines(&cinfo, &row, 1);
  }
  jpeg_destroy_decompress(&cinfo);
  return image;
}

JpegDecoder own_decoder() {
  BandShape shape;
  shape.least_scan = 1;
  return JpegDecoder(DecodeLimits{}, EntropyBackend::streams, PixelBackend::vectors, shape);
}

Region random_part(const Image& image, std::mt19937& random) {
  Region r;
  r.top = static_cast<int>(random()) & 0x7FFF;
  r.top %= image.height;
  r.left = (static_cast<int>(random()) & 0x7FFF) % image.width;
  r.height = 1 + (static_cast<int>(random()) & 0x7FFF) % (image.height - r.top);
  r.width = 1 + (static_cast<int>(random()) & 0x7FFF) % (image.width - r.left);
  return r;
}

void check_part(const Octets& file, const Image& image, const Region& region,
                JpegDecoder& decoder) {
  CAPTURE(region.top);
  CAPTURE(region.left);
  CAPTURE(region.height);
  CAPTURE(region.width);
  PixelsSink sink([&](int, int) { return region; });
  REQUIRE(decoder.decode(file, sink));
  REQUIRE(sink.pixels == image.part(region));
}

/// The whole image and some parts are libjpeg's, and libjpeg did not make them.
void check_own(const Octets& file, JpegDecoder& decoder, std::mt19937& random, int parts = 2) {
  const Image image = by_libjpeg(file);
  const std::uint64_t before = decoder.pixel_counts().images;
  check_part(file, image, {0, 0, image.height, image.width}, decoder);
  for (int i = 0; i < parts; ++i) check_part(file, image, random_part(image, random), decoder);
  REQUIRE(decoder.pixel_counts().images == before + 1 + static_cast<std::uint64_t>(parts));
}

/// Grey, 4:4:4, 4:2:2 and 4:2:0. Of a grey file the sampling does not matter.
constexpr std::array<std::array<int, 3>, 6> layouts{
    {{1, 1, 1}, {1, 2, 2}, {1, 2, 1}, {3, 1, 1}, {3, 2, 1}, {3, 2, 2}}};

JpegForm form_of(const std::array<int, 3>& layout) {
  JpegForm form;
  form.components = layout[0];
  form.horizontal = layout[1];
  form.vertical = layout[2];
  return form;
}

struct Seeded {
  Seeded() : seed(std::random_device{}()), random(seed) { MESSAGE("seed " << seed); }
  unsigned seed;
  std::mt19937 random;
};

TEST_CASE("pixels of every size are libjpeg's") {
  Seeded with;
  CAPTURE(with.seed);
  JpegDecoder decoder = own_decoder();
  for (const auto& layout : layouts) {
    for (int size = 1; size <= 70; ++size) {
      for (const int other : {1, 2, 3, 4, 5, 8, 16, 17, 18, 33}) {
        for (const bool wide : {false, true}) {
          JpegForm form = form_of(layout);
          form.width = wide ? size : other;
          form.height = wide ? other : size;
          form.noise = 90;
          form.seed = with.random();
          CAPTURE(layout[0]);
          CAPTURE(layout[1]);
          CAPTURE(layout[2]);
          CAPTURE(form.width);
          CAPTURE(form.height);
          check_own(encode_jpeg(form), decoder, with.random);
        }
      }
    }
  }
  CHECK(decoder.pixel_counts().outside == 0);
}

TEST_CASE("a region at any edge has the full image's pixels") {
  Seeded with;
  CAPTURE(with.seed);
  JpegDecoder decoder = own_decoder();
  for (const auto& layout : layouts) {
    JpegForm form = form_of(layout);
    form.width = 83;
    form.height = 51;
    form.noise = 90;
    form.seed = with.random();
    const Octets file = encode_jpeg(form);
    const Image image = by_libjpeg(file);
    CAPTURE(layout[0]);
    CAPTURE(layout[1]);
    CAPTURE(layout[2]);
    for (int left = 0; left < form.width; ++left) {
      const int most = form.width - left;
      for (const int width : {1, 2, 3, 17, most}) {
        if (width <= most) check_part(file, image, {20, left, 3, width}, decoder);
      }
    }
    for (int top = 0; top < form.height; ++top) {
      const int most = form.height - top;
      for (const int height : {1, 2, 3, 17, most}) {
        if (height <= most) check_part(file, image, {top, 30, height, 3}, decoder);
      }
    }
  }
}

TEST_CASE("pixels of every quality are libjpeg's") {
  Seeded with;
  CAPTURE(with.seed);
  JpegDecoder decoder = own_decoder();
  for (int quality = 1; quality <= 100; ++quality) {
    for (const auto& layout : layouts) {
      JpegForm form = form_of(layout);
      form.quality = quality;
      form.optimize = with.random() % 2 == 0;
      form.noise = std::array{0, 17, 120, 255}[with.random() % 4];
      form.flat_rows = 20;
      form.width = 30 + static_cast<int>(with.random() % 120);
      form.height = 40;
      form.seed = with.random();
      CAPTURE(quality);
      CAPTURE(layout[0]);
      check_own(encode_jpeg(form), decoder, with.random, 1);
    }
  }
}

TEST_CASE("pixels do not depend on how a scan is cut up") {
  Seeded with;
  CAPTURE(with.seed);
  for (int round = 0; round < 60; ++round) {
    JpegForm form = form_of(layouts[with.random() % layouts.size()]);
    form.width = 100 + static_cast<int>(with.random() % 200);
    form.height = 100;
    form.seed = with.random();
    BandShape shape;
    shape.least_scan = 1;
    shape.least_bytes = 1 + with.random() % 100;
    shape.most_bytes = 1 + with.random() % 3000;
    shape.most_blocks = 1 + with.random() % 100;
    JpegDecoder decoder(DecodeLimits{}, EntropyBackend::streams, PixelBackend::vectors, shape);
    check_own(encode_jpeg(form), decoder, with.random);
  }
}

TEST_CASE("every instruction set gives the same pixels") {
  Seeded with;
  CAPTURE(with.seed);
  for (const auto& layout : layouts) {
    for (const int width : {1, 4, 5, 63, 150}) {
      JpegForm form = form_of(layout);
      form.width = width;
      form.height = 70;
      form.noise = 200;
      form.seed = with.random();
      const Octets file = encode_jpeg(form);
      testing::for_each_target([&](const std::string& target) {
        CAPTURE(target);
        CAPTURE(width);
        JpegDecoder decoder = own_decoder();
        check_own(file, decoder, with.random);
      });
    }
  }
}

TEST_CASE("all colours are libjpeg's in every instruction set") {
  // Pixels of each Cb and Cr, and each luma somewhere.
  std::vector<std::uint8_t> luma(65536 + decode::color_slack), cb(luma.size()), cr(luma.size());
  for (std::size_t i = 0; i < 65536; ++i) {
    luma[i] = static_cast<std::uint8_t>(i * 97 + i / 256);
    cb[i] = static_cast<std::uint8_t>(i);
    cr[i] = static_cast<std::uint8_t>(i / 256);
  }
  const auto level = [](double v) { return static_cast<std::uint8_t>(std::clamp(v, 0.0, 255.0)); };
  testing::for_each_target([&](const std::string& target) {
    CAPTURE(target);
    std::vector<std::uint8_t> rgb(3 * 65536 + decode::color_slack);
    decode::whole_chroma_to_rgb(luma.data(), cb.data(), cr.data(), 65536, rgb.data());
    int wrong = 0;
    for (std::size_t i = 0; i < 65536; ++i) {
      // jdcolor.c's tables.
      const int b = cb[i] - 128, r = cr[i] - 128, y = luma[i];
      const std::uint8_t expected[3] = {level(y + ((91881 * r + 32768) >> 16)),
                                        level(y + ((-22554 * b - 46802 * r + 32768) >> 16)),
                                        level(y + ((116130 * b + 32768) >> 16))};
      wrong += !std::equal(expected, expected + 3, rgb.data() + 3 * i);
    }
    CHECK(wrong == 0);
  });
}

TEST_CASE("what the pixel stage does not know is libjpeg's, with the same pixels") {
  JpegForm form;
  form.width = form.height = 100;
  std::vector<JpegForm> others(6, form);
  others[0].rgb = true;
  others[0].horizontal = others[0].vertical = 1;
  others[1].horizontal = 1;  // 4:4:0
  others[2].horizontal = 4;  // 4:1:1 and more
  others[2].vertical = 1;
  others[3].progressive = true;
  others[4].interleaved = false;
  others[5].arithmetic = true;
  std::mt19937 random(1);
  for (const JpegForm& other : others) {
    const Octets file = encode_jpeg(other);
    const Image image = by_libjpeg(file);
    JpegDecoder decoder = own_decoder();
    check_part(file, image, {0, 0, image.height, image.width}, decoder);
    check_part(file, image, random_part(image, random), decoder);
    CHECK(decoder.pixel_counts().images == 0);
  }
}

/// A grey file of 8 x 4 blocks with these coefficients and quantisation.
Octets grey_file(const std::array<unsigned, 64>& factors,
                 const std::function<void(int block, JCOEF* coefficients)>& fill) {
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  errors.emit_message = [](j_common_ptr, int) {};
  jpeg_create_compress(&cinfo);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &data, &size);
  cinfo.image_width = 64;
  cinfo.image_height = 32;
  cinfo.input_components = 1;
  cinfo.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&cinfo);
  jpeg_add_quant_table(&cinfo, 0, factors.data(), 100, FALSE);
  cinfo.optimize_coding = TRUE;
  jvirt_barray_ptr blocks = cinfo.mem->request_virt_barray(reinterpret_cast<j_common_ptr>(&cinfo),
                                                           JPOOL_IMAGE, TRUE, 8, 4, 1);
  jpeg_write_coefficients(&cinfo, &blocks);
  for (int y = 0; y < 4; ++y) {
    JBLOCKARRAY row = cinfo.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&cinfo), blocks,
                                                    static_cast<JDIMENSION>(y), 1, TRUE);
    for (int x = 0; x < 8; ++x) fill(8 * y + x, row[0][x]);
  }
  jpeg_finish_compress(&cinfo);
  Octets file(data, data + size);
  jpeg_destroy_compress(&cinfo);
  std::free(data);
  return file;
}

/// Whether the image was handed back; its pixels are libjpeg's either way.
bool leaves_bounds(const Octets& file) {
  const Image image = by_libjpeg(file);
  int targets = 0, left = 0;
  testing::for_each_target([&](const std::string& target) {
    CAPTURE(target);
    JpegDecoder decoder = own_decoder();
    check_part(file, image, {0, 0, image.height, image.width}, decoder);
    CHECK(decoder.pixel_counts().images + decoder.pixel_counts().outside == 1);
    ++targets;
    left += decoder.pixel_counts().outside == 1;
  });
  CHECK((left == 0 || left == targets));
  return left > 0;
}

TEST_CASE("a block that leaves the bounds of 16-bit arithmetic is handed back") {
  // In the last block, when rows have been pushed.
  const auto with = [](unsigned factor, std::initializer_list<std::array<int, 2>> values) {
    std::array<unsigned, 64> factors;
    factors.fill(factor);
    return grey_file(factors, [&](int block, JCOEF* coefficients) {
      coefficients[0] = static_cast<JCOEF>(block % 3);
      if (block != 31) return;
      for (const auto& [at, value] : values) coefficients[at] = static_cast<JCOEF>(value);
    });
  };
  // A DC of 8 is a level.
  CHECK_FALSE(leaves_bounds(with(8, {{0, 511}})));
  CHECK(leaves_bounds(with(8, {{0, 512}})));
  CHECK_FALSE(leaves_bounds(with(8, {{0, -511}})));
  CHECK(leaves_bounds(with(8, {{0, -512}})));
  // Products that 16 bits make small numbers of.
  CHECK(leaves_bounds(with(64, {{63, 1023}, {7, 1000}})));
  CHECK(leaves_bounds(with(128, {{9, 512}})));   // 65536: 0
  CHECK(leaves_bounds(with(257, {{9, 255}})));   // 65535: -1
  CHECK(leaves_bounds(with(257, {{9, -255}})));  // -65535: 1
  CHECK(leaves_bounds(with(32767, {{9, 2}})));   // 65534: -2
}

TEST_CASE("factors of 16 bits are negative, as in libjpeg") {
  std::array<unsigned, 64> factors;
  factors.fill(32767);
  Octets file = grey_file(factors, [](int block, JCOEF* coefficients) {
    coefficients[block] = static_cast<JCOEF>(block * 10);
  });
  const auto table = std::search_n(file.begin(), file.end(), 1, 0x7F);
  REQUIRE(std::count(table, table + 128, 0x7F) == 64);
  for (auto at = table; at != table + 128; at += 2) *at = 0xFF;  // 65535: -1
  CHECK_FALSE(leaves_bounds(file));
}

TEST_CASE("a single coefficient has libjpeg's pixels, wherever it stands") {
  std::array<unsigned, 64> factors;
  factors.fill(3);
  for (std::size_t at = 0; at < 64; ++at) {
    CAPTURE(at);
    const Octets file = grey_file(factors, [&](int block, JCOEF* coefficients) {
      coefficients[0] = static_cast<JCOEF>(block);
      if (block % 5 == 0) coefficients[at] = 40;  // at each place of a group of 4
    });
    CHECK_FALSE(leaves_bounds(file));
  }
}

TEST_CASE("blocks of any coefficients and factors have libjpeg's pixels") {
  Seeded with;
  CAPTURE(with.seed);
  int inside = 0, outside = 0;
  for (int round = 0; round < 400; ++round) {
    std::array<unsigned, 64> factors;
    const unsigned greatest = std::array{1U, 20U, 255U, 5000U, 65535U}[with.random() % 5];
    for (unsigned& factor : factors) factor = 1 + with.random() % greatest;
    const int most = std::array{1, 4, 30, 1023}[with.random() % 4];
    const int dense = 1 + static_cast<int>(with.random() % 64);
    const Octets file = grey_file(factors, [&](int, JCOEF* coefficients) {
      for (int i = 0; i < dense; ++i) {
        coefficients[with.random() % 64] =
            static_cast<JCOEF>(static_cast<int>(with.random() % (2U * unsigned(most) + 1)) - most);
      }
    });
    (leaves_bounds(file) ? outside : inside)++;
  }
  CHECK(inside > 20);
  CHECK(outside > 20);
}

TEST_CASE("an image too wide for the pixel stage's memory is libjpeg's") {
  JpegForm form;
  form.height = 16;
  form.width = 30000;
  const Octets file = encode_jpeg(form);
  const Image image = by_libjpeg(file);
  JpegDecoder decoder = own_decoder();
  check_part(file, image, {0, 0, image.height, image.width}, decoder);
  CHECK(decoder.pixel_counts().images == 0);
  check_part(file, image, {3, 29000, 9, 1000}, decoder);
  CHECK(decoder.pixel_counts().images == 1);
}

}  // namespace
}  // namespace ringfeed
