#include "support/encode.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <random>

// clang-format off
#include <cstdio>  // jpeglib.h uses size_t and FILE without declaring them
#include <jpeglib.h>
// clang-format on

namespace ringfeed::testing {
namespace {

Octets rows_of(int width, int height, int channels, std::uint32_t seed, int noise = 17,
               int flat_rows = 0, int quiet_rows = 0) {
  std::mt19937 random(seed);
  const int levels = noise == 0 ? 120 : noise;
  Octets pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        if (noise == 0 && y < flat_rows) {
          pixels.push_back(static_cast<std::uint8_t>(seed + static_cast<unsigned>(y / 40)));
          continue;
        }
        const double wave = 128 + 70 * std::sin(x * 0.21 + c) + 40 * std::cos(y * 0.33 + seed);
        const int noisy = static_cast<int>(random() % static_cast<unsigned>(levels)) - levels / 2;
        pixels.push_back(
            static_cast<std::uint8_t>(static_cast<int>(wave) + (y < quiet_rows ? 0 : noisy)));
      }
    }
  }
  return pixels;
}

void append(png_structp png, png_bytep data, std::size_t size) {
  auto& out = *static_cast<Octets*>(png_get_io_ptr(png));
  out.insert(out.end(), data, data + size);
}

}  // namespace

Octets encode_jpeg(const JpegForm& form) {
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* data = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &data, &size);
  cinfo.image_width = static_cast<JDIMENSION>(form.width);
  cinfo.image_height = static_cast<JDIMENSION>(form.height);
  cinfo.input_components = form.components;
  cinfo.in_color_space = form.components == 1   ? JCS_GRAYSCALE
                         : form.components == 3 ? JCS_RGB
                                                : JCS_CMYK;
  jpeg_set_defaults(&cinfo);
  if (form.rgb) jpeg_set_colorspace(&cinfo, JCS_RGB);
  jpeg_set_quality(&cinfo, form.quality, TRUE);
  cinfo.comp_info[0].h_samp_factor = form.horizontal;
  cinfo.comp_info[0].v_samp_factor = form.vertical;
  cinfo.restart_interval = static_cast<unsigned>(form.restart_interval);
  cinfo.arith_code = form.arithmetic;
  cinfo.optimize_coding = form.optimize;
  jpeg_scan_info scans[4] = {};
  for (int c = 0; c < form.components; ++c) {
    scans[c].comps_in_scan = 1;
    scans[c].component_index[0] = c;
    scans[c].Se = 63;
  }
  if (form.progressive) jpeg_simple_progression(&cinfo);
  if (!form.interleaved) {
    cinfo.scan_info = scans;
    cinfo.num_scans = form.components;
  }
  jpeg_start_compress(&cinfo, TRUE);
  Octets pixels = rows_of(form.width, form.height, form.components, form.seed, form.noise,
                          form.flat_rows, form.quiet_rows);
  const std::size_t stride = static_cast<std::size_t>(form.width * form.components);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = pixels.data() + cinfo.next_scanline * stride;
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  Octets file(data, data + size);
  std::free(data);
  return file;
}

Octets with_invalid_table(Octets file, std::size_t size) {
  file.resize(file.size() - 2);
  file.insert(file.end(), {0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0});
  file.insert(file.end(), size, 0x55);
  file.insert(file.end(), {0xFF, 0xC4, 1, 18, 0x10, 255});
  file.insert(file.end(), 15, 0);
  file.insert(file.end(), 255, 1);
  file.insert(file.end(), {0xFF, 0xD9});
  return file;
}

EncodedPng encode_png(const PngForm& form) {
  EncodedPng encoded;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(png, &encoded.file, append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(form.width),
               static_cast<png_uint_32>(form.height), form.bit_depth, form.color_type,
               form.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  std::mt19937 random(form.seed);
  png_color palette[256] = {};
  png_byte alpha[256] = {};
  const int entries = form.color_type == 3 ? 1 << form.bit_depth : 0;
  for (int i = 0; i < entries; ++i) {
    palette[i] = {static_cast<png_byte>(random()), static_cast<png_byte>(random()),
                  static_cast<png_byte>(random())};
    alpha[i] = static_cast<png_byte>(random());
  }
  if (entries > 0) png_set_PLTE(png, info, palette, entries);
  png_color_16 transparent = {0, 1, 1, 1, 1};
  if (form.transparency) png_set_tRNS(png, info, alpha, entries, &transparent);
  png_write_info(png, info);

  const int channels = png_get_channels(png, info);
  const int samples = form.width * channels;
  const int most = (1 << form.bit_depth) - 1;
  Octets raw;
  const std::size_t stride = png_get_rowbytes(png, info);
  for (int y = 0; y < form.height; ++y) {
    Octets row(stride);
    for (int s = 0; s < samples; ++s) {
      // 16-bit values fall on either side of 255, where Pillow's grey clips.
      const int value = static_cast<int>(random() % 2 ? random() : random() % 256) & most;
      const int c = s % channels;
      if (form.bit_depth == 16) {
        row[static_cast<std::size_t>(s) * 2] = static_cast<std::uint8_t>(value >> 8);
        row[static_cast<std::size_t>(s) * 2 + 1] = static_cast<std::uint8_t>(value);
      } else {
        const int bit = s * form.bit_depth;
        row[static_cast<std::size_t>(bit / 8)] |=
            static_cast<std::uint8_t>(value << (8 - form.bit_depth - bit % 8));
      }
      if (form.color_type == 3) {
        const png_color& color = palette[value];
        encoded.rgb.insert(encoded.rgb.end(), {color.red, color.green, color.blue});
      } else if (form.color_type == 0 || form.color_type == 4) {
        int grey = form.bit_depth < 8 ? value * 255 / most : value;
        if (form.bit_depth == 16) grey = form.color_type == 0 ? std::min(value, 255) : value >> 8;
        if (c == 0) encoded.rgb.insert(encoded.rgb.end(), 3, static_cast<std::uint8_t>(grey));
      } else if (c < 3) {
        encoded.rgb.push_back(static_cast<std::uint8_t>(form.bit_depth == 16 ? value >> 8 : value));
      }
    }
    raw.insert(raw.end(), row.begin(), row.end());
  }
  const int passes = png_set_interlace_handling(png);
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < form.height; ++y) {
      png_write_row(png, raw.data() + static_cast<std::size_t>(y) * stride);
    }
  }
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return encoded;
}

}  // namespace ringfeed::testing
