// Each operation on an image that already has its size, on one core, the best instruction set
// against the plainest, interleaved image by image so that a busy machine slows both alike:
//
//   meson setup build/dev -Dbenchmarks=true && meson compile -C build/dev bench_operations
//   taskset -c 1 build/dev/bench/bench_operations
//
// Arguments: height, width and a file of 8-bit RGB images of that size, one after another, which
// take turns; without a file, 8 made-up ones do. The last line is noise for erased boxes.
// bench/compare/operations.py sets it against Pillow.
#include <hwy/targets.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "augment/affine.h"
#include "augment/chain_mix.h"
#include "augment/color.h"
#include "augment/gaussian_blur.h"
#include "augment/noise.h"
#include "augment/sharpness.h"
#include "base/planar.h"

namespace {

using ringfeed::Interpolation;
using ringfeed::Operation;
using ringfeed::OperationKind;
using ringfeed::plane_stride;
using ringfeed::augment::Canvas;

struct Named {
  std::string name;
  Operation operation;
};

/// Rotation about the centre as Image.rotate sets it up.
Operation rotation(int height, int width, double degrees, Interpolation interpolation) {
  Operation op;
  op.kind = OperationKind::affine;
  op.interpolation = interpolation;
  const double angle = -degrees * std::numbers::pi / 180;
  const double cos = std::cos(angle), sin = std::sin(angle);
  const double x = width / 2.0, y = height / 2.0;
  op.values = {cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y};
  return op;
}

std::vector<Named> operations(int height, int width) {
  std::vector<Named> all;
  for (const auto& [name, kind] : ringfeed::operation_kinds) {
    if (kind == OperationKind::affine || kind == OperationKind::perspective ||
        kind == OperationKind::mix_begin || kind == OperationKind::mix_end ||
        kind == OperationKind::resize || kind == OperationKind::crop) {
      continue;
    }
    Operation op;
    op.kind = kind;
    op.values[0] = kind == OperationKind::posterize                                     ? 4
                   : kind == OperationKind::solarize                                    ? 128
                   : kind == OperationKind::solarize_add                                ? 64
                   : kind == OperationKind::mix_add || kind == OperationKind::mix_blend ? 0.3
                   : kind == OperationKind::hue                                         ? 0.1
                   : kind == OperationKind::gaussian_blur                               ? 2
                                                                                        : 1.3718;
    all.push_back({std::string(name), op});
  }
  constexpr std::pair<const char*, Interpolation> drawing[] = {
      {"nearest", Interpolation::nearest},
      {"bilinear", Interpolation::bilinear},
      {"bicubic", Interpolation::bicubic}};
  for (const auto& [name, interpolation] : drawing) {
    all.push_back({"rotate " + std::string(name), rotation(height, width, 17, interpolation)});
  }
  for (const auto& [name, interpolation] : drawing) {
    Operation op{.kind = OperationKind::perspective, .interpolation = interpolation};
    op.values = {1.3, 0.05, -20, 0.1, 1.2, -25, 0.3 / width, 0.4 / height};
    all.push_back({"perspective " + std::string(name), op});
  }
  Operation translation;
  translation.kind = OperationKind::affine;
  translation.values = {1, 0, -0.1 * width, 0, 1, 0.05 * height};
  all.push_back({"translate", translation});
  return all;
}

/// Smooth like a photo, with some noise.
Canvas made_up(int height, int width, std::uint32_t seed) {
  std::mt19937 random(seed);
  Canvas image(height, width);
  for (int y = 0; y < height; ++y) {
    for (std::size_t c = 0; c < 3; ++c) {
      std::uint8_t* plane = image.row(y) + c * plane_stride(width);
      for (int x = 0; x < width; ++x) {
        const double wave = std::sin(0.01 * (seed % 7 + 2) * x + static_cast<double>(c)) *
                            std::cos(0.02 * (seed % 3 + 1) * y);
        plane[x] = static_cast<std::uint8_t>(120 + 100 * wave + static_cast<double>(random() % 30));
      }
    }
  }
  return image;
}

std::vector<Canvas> read_images(const char* path, int height, int width) {
  std::vector<Canvas> images;
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return images;
  std::vector<std::uint8_t> rgb(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
                                3);
  while (std::fread(rgb.data(), 1, rgb.size(), file) == rgb.size()) {
    Canvas& image = images.emplace_back(height, width);
    const std::uint8_t* next = rgb.data();
    for (int y = 0; y < height; ++y) {
      for (std::size_t x = 0; x < static_cast<std::size_t>(width); ++x) {
        for (std::size_t c = 0; c < 3; ++c) image.row(y)[c * plane_stride(width) + x] = *next++;
      }
    }
  }
  std::fclose(file);
  return images;
}

/// This thread's CPU time: other processes on the core do not count.
double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

struct Workplace {
  Canvas image, result;
  std::vector<std::uint8_t> scratch;
  ringfeed::augment::ChainMix mix;
};

double run(const Operation& operation, const Canvas& source, Workplace& at) {
  std::memcpy(at.image.row(0), source.row(0), source.size());
  if (operation.kind == OperationKind::mix_add) at.mix.begin(at.image, false);
  if (operation.kind == OperationKind::mix_blend) at.mix.begin(at.image, true);
  const double start = now();
  if (operation.kind == OperationKind::affine || operation.kind == OperationKind::perspective) {
    ringfeed::augment::affine(operation, at.image, at.result, at.scratch.data());
  } else if (operation.kind == OperationKind::gaussian_blur) {
    ringfeed::augment::gaussian_blur(static_cast<float>(operation.values[0]), at.image,
                                     at.scratch.data());
  } else if (operation.kind == OperationKind::mix_add) {
    at.mix.add(static_cast<float>(operation.values[0]), at.image);
  } else if (operation.kind == OperationKind::mix_blend) {
    at.mix.blend(static_cast<float>(operation.values[0]), at.image);
  } else if (operation.kind == OperationKind::sharpness) {
    ringfeed::augment::sharpness(static_cast<float>(operation.values[0]), at.image, at.result);
  } else {
    ringfeed::augment::color(operation, at.image);
  }
  return now() - start;
}

double quantile(std::vector<double>& sorted, double q) {
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const int height = argc > 2 ? std::atoi(argv[1]) : 224;
  const int width = argc > 2 ? std::atoi(argv[2]) : 224;
  if (height < 1 || width < 1) {
    std::fprintf(stderr, "usage: %s [height width [file]]\n", argv[0]);
    return 2;
  }
  std::vector<Canvas> images;
  if (argc > 3) {
    images = read_images(argv[3], height, width);
  } else {
    for (std::uint32_t seed = 0; seed < 8; ++seed) images.push_back(made_up(height, width, seed));
  }
  if (images.size() < 2) {
    std::fprintf(stderr, "%s: not two images of %dx%d\n", argv[3], width, height);
    return 1;
  }

  // A target's bit is the lower the better it is.
  const std::int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  std::int64_t plainest = supported;
  while ((plainest & (plainest - 1)) != 0) plainest &= plainest - 1;
  const std::int64_t targets[] = {supported & -supported, plainest};
  std::printf("%dx%d, CPU us per image on %s: median [10 %%, 90 %%], ratio to %s\n", width, height,
              hwy::TargetName(targets[0]), hwy::TargetName(targets[1]));
  Workplace workplace{
      Canvas(height, width), Canvas(height, width),
      std::vector<std::uint8_t>(std::max(ringfeed::augment::affine_scratch(height, width),
                                         ringfeed::augment::blur_scratch(height, width))),
      ringfeed::augment::ChainMix(height, width)};
  const auto report = [&](const std::string& name, const auto& timed) {
    std::vector<double> microseconds[2];
    constexpr std::size_t rounds = 100;
    for (std::size_t round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < 2; ++i) {
        hwy::SetSupportedTargetsForTest(targets[i]);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
        // Branches and caches must not know the image: the two sides begin half way apart.
        const std::size_t image = (round + i * (images.size() / 2)) % images.size();
        microseconds[i].push_back(timed(images[image]));
      }
    }
    for (auto& times : microseconds) std::sort(times.begin(), times.end());
    const double median = quantile(microseconds[0], 0.5);
    std::printf("%-20s %8.1f [%7.1f, %7.1f] %6.1fx\n", name.c_str(), median,
                quantile(microseconds[0], 0.1), quantile(microseconds[0], 0.9),
                quantile(microseconds[1], 0.5) / median);
  };
  for (const auto& [name, operation] : operations(height, width)) {
    report(name, [&](const Canvas& image) { return run(operation, image, workplace); });
  }
  std::vector<float> noise(std::size_t{1} << 15);
  report("32,768 of noise", [&](const Canvas&) {
    const double start = now();
    ringfeed::augment::draw_noise(1, 0, 0, noise);
    return now() - start;
  });
}
