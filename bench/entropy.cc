// Entropy decoding and decoding of JPEG files on one core, each back end against libjpeg's own,
// interleaved in blocks of 12 images so that none is decoded twice in a row. Exits with 1 if any
// pixels differ.
//
//   meson setup build/dev -Dbenchmarks=true && meson compile -C build/dev bench_entropy
//   taskset -c 1 build/dev/bench/bench_entropy photos/train [repeats]
//   taskset -c 1 build/dev/bench/bench_entropy --lanes
//
// The second is a check, of generated files: it fails where lanes are this CPU's choice and not
// twice as fast as libjpeg.
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/entropy/lanes.h"
#include "decode/jpeg/session.h"
#include "support/encode.h"

namespace {

using ringfeed::DecodeLimits;
using namespace ringfeed::decode;  // NOLINT(google-build-using-namespace): a program of its own

using Octets = std::vector<std::uint8_t>;

double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

struct Photo {
  Octets file;
  double top = 0, left = 0, height = 1, width = 1;  ///< of a training crop, as shares
};

/// RandomResizedCrop's, scale (0.08, 1) and ratio (3/4, 4/3).
void draw_crop(Photo& photo, std::mt19937& random) {
  std::uniform_real_distribution<double> unit(0, 1);
  while (true) {
    const double area = 0.08 + 0.92 * unit(random);
    const double ratio = std::exp(std::log(0.75) + unit(random) * std::log(16.0 / 9));
    photo.height = std::sqrt(area / ratio);
    photo.width = std::sqrt(area * ratio);
    if (photo.height <= 1 && photo.width <= 1) break;
  }
  photo.top = unit(random) * (1 - photo.height);
  photo.left = unit(random) * (1 - photo.width);
}

class Sink : public RowSink {
 public:
  Sink(const Photo& photo, bool crop) : photo_(photo), crop_(crop) {}
  Region begin(int height, int width) override {
    if (!crop_) return region_ = {0, 0, height, width};
    const auto part = [](double share, int of) { return static_cast<int>(share * of); };
    return region_ = {part(photo_.top, height), part(photo_.left, width),
                      std::max(1, part(photo_.height, height)),
                      std::max(1, part(photo_.width, width))};
  }
  void push_row(const std::uint8_t* rgb) override {
    for (int i = 0; i < 3 * region_.width; i += 64) sum = sum * 31 + rgb[i];
  }
  std::uint64_t sum = 1;

 private:
  const Photo& photo_;
  bool crop_;
  Region region_;
};

/// Only entropy decoding, to the end of the file: by libjpeg's decoder or by `own`.
bool decode_entropy(const Octets& file, EntropyDecoder* own, double& time) {
  static Octets storage(most_blocks_in_mcu * sizeof(JBLOCK) + 64);
  JpegSession session(file, false, 500);
  if (setjmp(session.on_error)) return false;
  session.open();
  jpeg_decompress_struct* const cinfo = &session.cinfo;
  jpeg_read_header(cinfo, TRUE);
  if (cinfo->progressive_mode || cinfo->arith_code) return false;
  cinfo->out_color_space = cinfo->num_components == 4 ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(cinfo);
  auto* const to = reinterpret_cast<JBLOCK*>(
      storage.data() + (64 - reinterpret_cast<std::uintptr_t>(storage.data()) % 64) % 64);
  JBLOCKROW blocks[most_blocks_in_mcu];
  for (std::size_t i = 0; i < most_blocks_in_mcu; ++i) blocks[i] = to + i;
  const std::size_t mcus = std::size_t{cinfo->MCUs_per_row} * cinfo->MCU_rows_in_scan;
  const std::size_t bytes = static_cast<std::size_t>(cinfo->blocks_in_MCU) * sizeof(JBLOCK);
  const double start = now();
  if (own != nullptr) {
    const Bytes scan{cinfo->src->next_input_byte, cinfo->src->bytes_in_buffer};
    if (!own->begin(*cinfo, scan, static_cast<int>(cinfo->image_height))) return false;
    for (std::size_t i = 0; i < mcus; ++i) {
      if (!own->next_mcu(blocks)) return false;
    }
  } else {
    const EntropyMethods& methods = EntropyMethods::of(*cinfo);
    for (std::size_t i = 0; i < mcus; ++i) {
      std::memset(to, 0, bytes);
      methods.decode_mcu(cinfo, blocks);
    }
  }
  time = now() - start;
  return true;
}

struct Variant {
  std::string name;
  std::function<bool(const Photo&, double& time, std::uint64_t& sum)> run;
  std::vector<double> times{};  ///< microseconds an image, of each repeat
  int failed = 0, differ = 0;
};

double middle(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void run(const std::vector<Photo>& photos, std::vector<Variant>& variants, int repeats) {
  constexpr std::size_t block = 12;
  const std::size_t blocks = photos.size() / block;
  std::vector<std::uint64_t> sums(photos.size(), 0);
  for (int repeat = 0; repeat < repeats; ++repeat) {
    for (Variant& variant : variants) variant.times.push_back(0);
    for (std::size_t b = 0; b < blocks; ++b) {
      for (std::size_t v = 0; v < variants.size(); ++v) {
        Variant& variant = variants[(v + b + static_cast<std::size_t>(repeat)) % variants.size()];
        for (std::size_t i = b * block; i < (b + 1) * block; ++i) {
          double time = 0;
          std::uint64_t pixels = 0;
          if (!variant.run(photos[i], time, pixels)) ++variant.failed;
          if (sums[i] == 0) sums[i] = pixels;
          if (sums[i] != pixels) ++variant.differ;
          variant.times.back() += time / static_cast<double>(blocks * block);
        }
      }
    }
  }
}

/// To the first variant's times.
std::vector<double> ratios(const std::vector<Variant>& variants, const Variant& variant) {
  std::vector<double> all;
  for (std::size_t i = 0; i < variant.times.size(); ++i) {
    all.push_back(variants[0].times[i] / variant.times[i]);
  }
  return all;
}

/// Prints a line for each variant, ratios to the first one. False: pixels differ, or a file fails.
bool measure(const std::vector<Photo>& photos, std::vector<Variant>& variants, int repeats) {
  run(photos, variants, repeats);
  bool right = true;
  for (const Variant& variant : variants) {
    const std::vector<double> all = ratios(variants, variant);
    const auto [least, most] = std::minmax_element(all.begin(), all.end());
    std::printf("%-24s %7.0f us  %5.2f x [%.2f, %.2f]\n", variant.name.c_str(),
                middle(variant.times), middle(all), *least, *most);
    if (variant.failed + variant.differ == 0) continue;
    std::printf("  %d failed, %d differ\n", variant.failed, variant.differ);
    right = false;
  }
  return right;
}

Variant entropy_by_libjpeg() {
  return {"entropy: libjpeg", [](const Photo& photo, double& time, std::uint64_t&) {
            return decode_entropy(photo.file, nullptr, time);
          }};
}

Variant entropy_by(const std::string& name, const BandShape& shape, EntropyBackend backend) {
  auto own = std::make_shared<EntropyDecoder>(shape, backend);
  return {"entropy: " + name, [own](const Photo& photo, double& time, std::uint64_t&) {
            return decode_entropy(photo.file, own.get(), time);
          }};
}

Variant entropy_by_lanes() {
  return entropy_by("lanes", BandShape::of(EntropyBackend::lanes), EntropyBackend::lanes);
}

int check_lanes() {
  constexpr double least = 2;
  const EntropyChoice& choice = entropy_choice();
  if (choice.backend != EntropyBackend::lanes) {
    std::printf("lanes against libjpeg: not run: %s\n", choice.why.c_str());
    return 0;
  }
  std::vector<Photo> photos;
  for (std::uint32_t seed = 1; seed <= 48; ++seed) {
    ringfeed::testing::JpegForm form;
    form.width = 500;
    form.height = 375;
    form.seed = seed;
    photos.push_back({ringfeed::testing::encode_jpeg(form)});
  }
  std::vector<Variant> variants{entropy_by_libjpeg(), entropy_by_lanes()};
  const bool right = measure(photos, variants, 9);
  return right && middle(ratios(variants, variants[1])) >= least ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("usage: bench_entropy FOLDER [repeats] | --lanes\n", stderr);
    return 2;
  }
  if (std::strcmp(argv[1], "--lanes") == 0) return check_lanes();
  const int repeats = argc > 2 ? std::atoi(argv[2]) : 9;
  std::vector<Photo> photos;
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1])) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::mt19937 random(1);
  for (const auto& path : paths) {
    std::ifstream in(path, std::ios::binary);
    Photo photo;
    photo.file.assign(std::istreambuf_iterator<char>(in), {});
    double time = 0;
    if (!decode_entropy(photo.file, nullptr, time)) continue;
    draw_crop(photo, random);
    photos.push_back(std::move(photo));
  }
  if (photos.size() < 12) {
    std::fprintf(stderr, "%zu baseline JPEG files in %s: 12 are needed\n", photos.size(), argv[1]);
    return 2;
  }
  std::printf(
      "%zu of %zu files; CPU time an image, ratio to libjpeg: medians [and extremes] of %d\n",
      photos.size(), paths.size(), repeats);

  std::vector<Variant> entropy{entropy_by_libjpeg()};
  for (int streams = 1; streams <= 5; ++streams) {
    BandShape shape;
    shape.streams = streams;
    entropy.push_back(
        entropy_by(std::to_string(streams) + " streams", shape, EntropyBackend::streams));
  }
  if (has_lanes()) entropy.push_back(entropy_by_lanes());
  bool right = measure(photos, entropy, repeats);

  for (const bool crop : {false, true}) {
    std::vector<Variant> pixels;
    struct Which {
      const char* name;
      EntropyBackend entropy;
      PixelBackend pixels;
    };
    for (const Which& which :
         {Which{"libjpeg", EntropyBackend::libjpeg, PixelBackend::libjpeg},
          Which{"streams", EntropyBackend::streams, PixelBackend::libjpeg},
          Which{"streams, vectors", EntropyBackend::streams, PixelBackend::vectors},
          Which{"lanes, vectors", EntropyBackend::lanes, PixelBackend::vectors}}) {
      if (which.entropy == EntropyBackend::lanes && !has_lanes()) continue;
      auto decoder = std::make_shared<JpegDecoder>(DecodeLimits{}, which.entropy, which.pixels);
      pixels.push_back({std::string(crop ? "crop: " : "full: ") + which.name,
                        [decoder, crop](const Photo& photo, double& time, std::uint64_t& sum) {
                          Sink sink(photo, crop);
                          const double start = now();
                          const bool decoded = decoder->decode(photo.file, sink).has_value();
                          time = now() - start;
                          sum = sink.sum;
                          return decoded;
                        }});
    }
    right = measure(photos, pixels, repeats) && right;
  }
  return right ? 0 : 1;
}
