#include "decode/jpeg/self_test.h"

#include <algorithm>
#include <chrono>
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

/// Sampling factors of the first component, and MCUs from one restart to the next; 0: no restarts.
struct Form {
  int horizontal, vertical;
  unsigned restart_interval;
};

/// With Huffman tables of its own, into `file`, which has room: its size there, or 0. Every call of
/// libjpeg may jump; nothing here has a destructor.
std::size_t encode(std::uint8_t* pixels, Form form, std::vector<std::uint8_t>& file) {
  jpeg_compress_struct cinfo;
  Errors errors;
  cinfo.err = jpeg_std_error(&errors.methods);
  errors.methods.error_exit = [](j_common_ptr c) {
    std::longjmp(reinterpret_cast<Errors*>(c->err)->jump, 1);
  };
  if (setjmp(errors.jump)) {
    jpeg_destroy_compress(&cinfo);
    return 0;
  }
  jpeg_create_compress(&cinfo);
  unsigned char* data = file.data();
  unsigned long size = file.size();
  jpeg_mem_dest(&cinfo, &data, &size);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = channels;
  cinfo.in_color_space = JCS_RGB;
  jpeg_set_defaults(&cinfo);
  jpeg_set_quality(&cinfo, 85, TRUE);
  cinfo.comp_info[0].h_samp_factor = form.horizontal;
  cinfo.comp_info[0].v_samp_factor = form.vertical;
  cinfo.restart_interval = form.restart_interval;
  cinfo.optimize_coding = TRUE;
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = pixels + std::size_t{cinfo.next_scanline} * width * channels;
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  if (data == file.data()) return size;
  std::free(data);  // libjpeg's own: there was no room
  return 0;
}

class Rows final : public RowSink {
 public:
  explicit Rows(Region region) : region_(region) {}
  Region begin(int, int) override { return region_; }
  void push_row(const std::uint8_t* rgb) override {
    pixels.insert(pixels.end(), rgb, rgb + std::ptrdiff_t{region_.width} * channels);
  }
  std::vector<std::uint8_t> pixels;

 private:
  Region region_;
};

bool decodes_alike(std::vector<std::uint8_t>& pixels, Form form, EntropyBackend entropy,
                   PixelBackend made) {
  std::vector<std::uint8_t> file(pixels.size());
  file.resize(encode(pixels.data(), form, file));
  JpegDecoder theirs(DecodeLimits{}, EntropyBackend::libjpeg, PixelBackend::libjpeg);
  JpegDecoder ours(DecodeLimits{}, entropy, made);
  // A part skips rows and columns.
  for (const Region& region :
       {Region{0, 0, height, width}, Region{height / 2, width / 3, height / 4, width / 3}}) {
    Rows expected(region), got(region);
    if (!theirs.decode(file, expected) || !ours.decode(file, got)) return false;
    if (got.pixels != expected.pixels) return false;
  }
  const BandCounts& counts = ours.entropy_counts();
  return (form.restart_interval == 0 ? counts.joined : counts.intervals) > 0 && counts.odd == 0 &&
         ours.pixel_counts().images == (made == PixelBackend::vectors ? 2 : 0);
}

double milliseconds(JpegDecoder& decoder, const std::vector<std::uint8_t>& file) {
  Rows rows({0, 0, height, width});
  const auto start = std::chrono::steady_clock::now();
  static_cast<void>(decoder.decode(file, rows));
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  return time.count();
}

}  // namespace

bool lanes_pay() {
  std::vector<std::uint8_t> pixels = make_pixels(), file(pixels.size());
  file.resize(encode(pixels.data(), {2, 2, 0}, file));
  JpegDecoder streams(DecodeLimits{}, EntropyBackend::streams, PixelBackend::vectors);
  JpegDecoder lanes(DecodeLimits{}, EntropyBackend::lanes, PixelBackend::vectors);
  double best_of_streams = milliseconds(streams, file), best_of_lanes = milliseconds(lanes, file);
  for (int repeat = 0; repeat < 5; ++repeat) {
    best_of_streams = std::min(best_of_streams, milliseconds(streams, file));
    best_of_lanes = std::min(best_of_lanes, milliseconds(lanes, file));
  }
  return best_of_lanes * 1.1 < best_of_streams;
}

bool passes_self_test(EntropyBackend entropy, PixelBackend pixels) {
  std::vector<std::uint8_t> picture = make_pixels();
  const auto alike = [&](Form form) { return decodes_alike(picture, form, entropy, pixels); };
  if (pixels == PixelBackend::libjpeg) return alike({2, 2, 0}) && alike({2, 2, 7});
  return alike({2, 2, 0}) && alike({2, 1, 7}) && alike({1, 1, 0});
}

}  // namespace ringfeed::decode
