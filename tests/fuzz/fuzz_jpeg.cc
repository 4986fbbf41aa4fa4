// A file, decoded by libjpeg in the plainest way, by JpegDecoder with libjpeg's entropy decoder and
// with ringfeed's in any shape, whole and in part: the same verdict, the same pixels.
#include <fuzzer/FuzzedDataProvider.h>

#include <csetjmp>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/entropy/lanes.h"
#include "fuzz/attempt.h"

namespace {

using namespace ringfeed;
using namespace ringfeed::fuzz;
using decode::BandShape;
using decode::EntropyBackend;
using decode::JpegDecoder;
using decode::PixelBackend;

/// Executions whose pixels ringfeed has made itself.
class ReachedPixels {
 public:
  ~ReachedPixels() {
    std::fprintf(stderr, "reached: %llu images by vectors, %llu out of bounds\n",
                 static_cast<unsigned long long>(sum_.images),
                 static_cast<unsigned long long>(sum_.outside));
  }
  void add(const decode::PixelCounts& counts) {
    sum_.images += counts.images;
    sum_.outside += counts.outside;
  }

 private:
  decode::PixelCounts sum_;
};

struct Errors {
  jpeg_error_mgr methods;
  std::jmp_buf jump;
};

void jump(j_common_ptr cinfo) { std::longjmp(reinterpret_cast<Errors*>(cinfo->err)->jump, 1); }

/// RGB of a file that Pillow would decode, by libjpeg as its manual says; empty on an error, and
/// for CMYK, whose conversion is Pillow's.
std::vector<std::uint8_t> plain_rgb(decode::Bytes file) {
  static jpeg_decompress_struct cinfo;
  static Errors errors;
  static std::vector<std::uint8_t> rgb;
  rgb.clear();
  cinfo.err = jpeg_std_error(&errors.methods);
  errors.methods.error_exit = jump;
  errors.methods.emit_message = [](j_common_ptr, int) {};
  if (setjmp(errors.jump)) {
    jpeg_destroy_decompress(&cinfo);
    return {};
  }
  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&cinfo, TRUE);
  if (cinfo.num_components != 4) {
    cinfo.out_color_space = JCS_RGB;
    jpeg_start_decompress(&cinfo);
    rgb.resize(std::size_t{cinfo.output_width} * cinfo.output_height * 3);
    while (cinfo.output_scanline < cinfo.output_height) {
      JSAMPROW row = rgb.data() + std::size_t{cinfo.output_scanline} * cinfo.output_width * 3;
      jpeg_read_scanlines(&cinfo, &row, 1);
    }
  }
  jpeg_destroy_decompress(&cinfo);
  return rgb;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);  // numbers come from the end, the file from the beginning
  DecodeLimits limits = small_limits();
  limits.load_truncated = input.ConsumeIntegralInRange(0, 3) == 0;
  BandShape shape;
  shape.least_scan = 1;
  shape.streams = input.ConsumeIntegralInRange(1, decode::most_streams);
  shape.least_bytes = input.ConsumeIntegralInRange<std::size_t>(1, 64);
  shape.most_bytes = input.ConsumeIntegralInRange<std::size_t>(16, 4096);
  shape.most_blocks = input.ConsumeIntegralInRange<std::uint32_t>(1, 300);
  std::uint16_t numbers[4];
  for (auto& number : numbers) number = input.ConsumeIntegral<std::uint16_t>();
  std::vector<std::uint8_t> file = input.ConsumeRemainingBytes<std::uint8_t>();
  if (file.size() < 3 || file[0] != 0xFF || file[1] != 0xD8 || file[2] != 0xFF) return -1;

  JpegDecoder theirs(limits, EntropyBackend::libjpeg, PixelBackend::libjpeg);
  const Attempt all = attempt(theirs, file, whole());
  must_agree(all, attempt(theirs, file, part(numbers)), "libjpeg, a part");
  for (const EntropyBackend backend : {EntropyBackend::streams, EntropyBackend::lanes}) {
    if (backend == EntropyBackend::lanes && !decode::has_lanes()) continue;
    const std::string name(to_string(backend));
    JpegDecoder ours(limits, backend, PixelBackend::libjpeg, shape);
    JpegDecoder pixels(limits, backend, PixelBackend::vectors, shape);
    must_agree(all, attempt(ours, file, whole()), name + ", whole");
    must_agree(all, attempt(ours, file, part(numbers)), name + ", a part");
    must_agree(all, attempt(pixels, file, whole()), name + ", vectors, whole");
    must_agree(all, attempt(pixels, file, part(numbers)), name + ", vectors, a part");
    reached(backend).add(ours.entropy_counts(), all.decoded);
    static ReachedPixels reached_pixels;
    reached_pixels.add(pixels.pixel_counts());
  }
  if (all.decoded && !limits.load_truncated) {
    const std::vector<std::uint8_t> rgb = plain_rgb(file);
    if (!rgb.empty() && rgb != all.pixels) fail("libjpeg alone gives other pixels");
  }
  return 0;
}
