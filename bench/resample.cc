// Resize + normalise + pack of one image on one core, every instruction set against the scalar one,
// interleaved image by image so that a busy machine slows both alike:
//
//   meson setup build/dev -Dbenchmarks=true && meson compile -C build/dev bench_resample
//   taskset -c 1 build/dev/bench/bench_resample
//
// Arguments: dtype (float32, float16, bfloat16, uint8), layout (nchw, channels_last), interpolation
// (nearest, box, bilinear, hamming, bicubic, lanczos), which is then also set against bilinear.
// Outputs rotate over 64 samples (38 MB of float32), as batches do, so they are never in cache.
#include <hwy/targets.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "pack/packer.h"
#include "resize/resampler.h"

namespace {

using ringfeed::Interpolation;
using ringfeed::TransformPlan;
using ringfeed::decode::row_slack;
using ringfeed::resize::Geometry;

struct Stages {
  explicit Stages(const TransformPlan& plan) : resampler(plan.pillow), packer(plan) {}
  ringfeed::resize::Resampler resampler;
  ringfeed::pack::Packer packer;
};

struct Target {
  std::string name;
  std::unique_ptr<Stages> stages;
  std::vector<double> microseconds = {};
  std::vector<double> bilinear = {};  ///< microseconds too
};

struct Source {
  int height, width;
  std::size_t stride = static_cast<std::size_t>(width) * 3 + row_slack;
  std::vector<std::uint8_t> bytes =
      std::vector<std::uint8_t>(static_cast<std::size_t>(height) * stride);
};

std::vector<Target> all_targets(const TransformPlan& plan) {
  std::vector<Target> targets;
  for (std::int64_t rest = hwy::SupportedTargets() & HWY_TARGETS; rest != 0; rest &= rest - 1) {
    const std::int64_t target = rest & -rest;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    targets.push_back({hwy::TargetName(target), std::make_unique<Stages>(plan)});
    hwy::SetSupportedTargetsForTest(0);
  }
  return targets;
}

/// This thread's CPU time: other processes on the core do not count.
double now() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
}

double run(Stages& stages, const Source& source, int round, Interpolation interpolation,
           std::byte* out) {
  // The crop's size alternates by one pixel through more sizes than the table cache holds: random
  // crops hardly ever find their tables there.
  Geometry g;
  g.height = source.height - round % 7;
  g.width = source.width - round % 7;
  g.resized_height = g.resized_width = g.out_height = g.out_width = 224;
  g.hflip = round % 2 == 1;
  g.interpolation = interpolation;
  const double start = now();
  int next_row = 0;
  const auto pack_rows = [&] {
    while (const std::uint8_t* row = stages.resampler.next_row()) {
      stages.packer.row(row, next_row++, out);
    }
  };
  const auto region = stages.resampler.begin(g);
  pack_rows();
  const std::uint8_t* source_row = source.bytes.data() + static_cast<std::size_t>(region.left) * 3;
  for (int y = 0; y < region.height; ++y) {
    stages.resampler.push_row(source_row +
                              static_cast<std::size_t>(region.top + y) * source.stride);
    pack_rows();
  }
  stages.packer.finish();
  return now() - start;
}

double quantile(std::vector<double>& sorted, double q) {
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  const auto given = [&](const char* word) {
    return std::any_of(argv + 1, argv + argc, [&](char* a) { return std::strcmp(a, word) == 0; });
  };
  TransformPlan plan;
  for (auto dtype : {ringfeed::DType::float16, ringfeed::DType::bfloat16, ringfeed::DType::uint8}) {
    if (given(std::string(to_string(dtype)).c_str())) plan.dtype = dtype;
  }
  if (plan.dtype == ringfeed::DType::uint8) {
    plan.normalize.flavour = ringfeed::Normalize::Flavour::none;
  }
  for (const auto& [name, interpolation] : ringfeed::interpolations) {
    if (given(std::string(name).c_str())) plan.interpolation = interpolation;
  }
  const bool compare = plan.interpolation != Interpolation::bilinear;
  if (given("channels_last")) plan.layout = ringfeed::Layout::channels_last;

  constexpr std::size_t samples = 64;
  std::vector<std::byte> batch(samples * plan.sample_bytes() + 64);
  std::byte* first = batch.data() + (64 - reinterpret_cast<std::uintptr_t>(batch.data()) % 64) % 64;
  std::printf("%s to 224x224 %s %s, CPU us per image: median [10 %%, 90 %%], ratio to scalar%s\n",
              std::string(to_string(plan.interpolation)).c_str(),
              std::string(to_string(plan.dtype)).c_str(),
              plan.layout == ringfeed::Layout::nchw ? "nchw" : "channels_last",
              compare ? ", cost against bilinear" : "");
  const Source sources[] = {{120, 120}, {330, 330}, {375, 500}, {1000, 1000}};
  for (const Source& source : sources) {
    std::vector<Target> targets = all_targets(plan);
    constexpr int rounds = 200;
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < targets.size(); ++i) {
        // Another one begins each round: the first finds the source gone from the caches.
        Target& t = targets[(i + static_cast<std::size_t>(round)) % targets.size()];
        std::byte* out = first + static_cast<std::size_t>(round) % samples * plan.sample_bytes();
        t.microseconds.push_back(run(*t.stages, source, round, plan.interpolation, out));
        if (compare) {
          t.bilinear.push_back(run(*t.stages, source, round, Interpolation::bilinear, out));
        }
      }
    }
    for (Target& t : targets) {
      std::sort(t.microseconds.begin(), t.microseconds.end());
      std::sort(t.bilinear.begin(), t.bilinear.end());
    }
    const auto scalar = std::find_if(targets.begin(), targets.end(), [](const Target& t) {
      return t.name == "SCALAR" || t.name == "EMU128";
    });
    for (Target& t : targets) {
      const double median = quantile(t.microseconds, 0.5);
      std::printf("%4dx%-4d %-7s %7.0f [%5.0f, %5.0f]", source.width, source.height, t.name.c_str(),
                  median, quantile(t.microseconds, 0.1), quantile(t.microseconds, 0.9));
      if (scalar != targets.end()) {
        std::printf("  %5.1fx", quantile(scalar->microseconds, 0.5) / median);
      }
      if (compare) std::printf("  %.2fx", median / quantile(t.bilinear, 0.5));
      std::printf("\n");
    }
  }
}
