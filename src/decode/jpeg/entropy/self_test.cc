#include "decode/jpeg/entropy/self_test.h"

#include <array>
#include <csetjmp>
#include <cstdlib>
#include <vector>

#include "decode/jpeg/decoder.h"

namespace ringfeed::decode {
namespace {

constexpr int width = 320, height = 240, channels = 3;

/// Waves and noise: codes of every length.
std::vector<std::uint8_t> make_pixels() {
  std::vector<std::uint8_t> pixels;
  pixels.reserve(std::size_t{width} * height * channels);
  std::uint32_t noise = 1;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        noise = noise * 1664525 + 1013904223;
        const int level = (x * (c + 2) + y * y / 8) & 255;
        pixels.push_back(static_cast<std::uint8_t>(level / 2 + static_cast<int>(noise >> 26)));
      }
    }
  }
  return pixels;
}

struct Errors {
  jpeg_error_mgr methods;
  std::jmp_buf jump;
};

struct Encoded {
  unsigned char* data = nullptr;
  unsigned long size = 0;
  ~Encoded() { std::free(data); }
};

/// With Huffman tables of its own. Every call of libjpeg may jump; nothing here has a destructor.
bool encode(std::uint8_t* pixels, Encoded& encoded) {
  jpeg_compress_struct cinfo;
  Errors errors;
  cinfo.err = jpeg_std_error(&errors.methods);
  errors.methods.error_exit = [](j_common_ptr c) {
    std::longjmp(reinterpret_cast<Errors*>(c->err)->jump, 1);
  };
  if (setjmp(errors.jump)) {
    jpeg_destroy_compress(&cinfo);
    return false;
  }
  jpeg_create_compress(&cinfo);
  jpeg_mem_dest(&cinfo, &encoded.data, &encoded.size);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = channels;
  cinfo.in_color_space = JCS_RGB;
  jpeg_set_defaults(&cinfo);
  jpeg_set_quality(&cinfo, 85, TRUE);
  cinfo.optimize_coding = TRUE;
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = pixels + std::size_t{cinfo.next_scanline} * width * channels;
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  return true;
}

class Rows final : public RowSink {
 public:
  Region begin(int h, int w) override { return {0, 0, h, w}; }
  void push_row(const std::uint8_t* rgb) override {
    pixels.insert(pixels.end(), rgb, rgb + std::ptrdiff_t{width} * channels);
  }
  std::vector<std::uint8_t> pixels;
};

}  // namespace

bool passes_self_test(EntropyBackend backend) {
  std::vector<std::uint8_t> pixels = make_pixels();
  Encoded encoded;
  if (!encode(pixels.data(), encoded)) return false;
  const Bytes file(encoded.data, encoded.size);
  JpegDecoder theirs(DecodeLimits{}, EntropyBackend::libjpeg), ours(DecodeLimits{}, backend);
  Rows expected, got;
  return theirs.decode(file, expected) && ours.decode(file, got) && got.pixels == expected.pixels &&
         ours.entropy_counts().joined > 0 && ours.entropy_counts().odd == 0;
}

}  // namespace ringfeed::decode
