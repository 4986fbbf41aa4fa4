// Several views of an image by one decode, against a decode for each view, on one core:
//
//   meson setup build/release -Dbenchmarks=true && meson compile -C build/release bench_views
//   taskset -c 1 build/release/bench/bench_views photos/train
//
// (the set: bench/make_photos.sh photos). Some 200 to 400 files are kept in memory. The two sides
// take turns image by image, with the same draws; of each file the least of 3 rounds counts. The
// figures are medians over the files, in microseconds of this thread's CPU time.
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iterator>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "batch/lay_out.h"
#include "ringfeed/dataset.h"
#include "sample/sample_maker.h"

namespace {

using namespace ringfeed;

TransformPlan crop(int side, double scale_min, double scale_max) {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{
      .height = side, .width = side, .scale_min = scale_min, .scale_max = scale_max};
  return plan;
}

/// Makers that together give all views of an image.
struct Side {
  explicit Side(const std::vector<std::vector<TransformPlan>>& parts) {
    for (const auto& plans : parts) {
      makers.push_back(std::make_unique<sample::SampleMaker>(plans, DecodeLimits{}));
      views.push_back(batch::lay_out(plans, 1));
      out.emplace_back(batch::bytes_of(views.back(), 1));
    }
  }

  double microseconds(std::span<const std::byte> file, std::uint64_t position) {
    const double start = now();
    std::size_t view = 0;
    for (std::size_t i = 0; i < makers.size(); ++i) {
      const data::Key key = data::of_view(data::make_key(1, 0), view);
      if (!makers[i]->make(file, key, position, {out[i].data(), views[i]})) {
        throw std::runtime_error("a file cannot be decoded");
      }
      view += views[i].size();
    }
    return now() - start;
  }

  static double now() {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e6 + static_cast<double>(t.tv_nsec) * 1e-3;
  }

  std::vector<std::unique_ptr<sample::SampleMaker>> makers;
  std::vector<std::vector<BatchView>> views;
  std::vector<std::vector<std::byte>> out;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void compare(const char* name, const std::vector<TransformPlan>& plans,
             const std::vector<std::vector<char>>& files) {
  std::vector<std::vector<TransformPlan>> apart;
  for (const TransformPlan& plan : plans) apart.push_back({plan});
  Side one({plans}), each(apart);
  std::vector<double> together, single, ratios;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto file = std::as_bytes(std::span(files[i]));
    double a = 1e12, b = 1e12;
    for (int round = 0; round < 3; ++round) {
      a = std::min(a, one.microseconds(file, i));
      b = std::min(b, each.microseconds(file, i));
    }
    together.push_back(a);
    single.push_back(b);
    ratios.push_back(b / a);
  }
  std::ranges::sort(ratios);
  std::printf(
      "%-22s one decode %6.0f us, a decode each %6.0f us: %.2f x (%.2f to %.2f, 10th to "
      "90th percentile)\n",
      name, median(together), median(single), median(ratios), ratios[ratios.size() / 10],
      ratios[ratios.size() * 9 / 10]);
}

std::vector<std::vector<char>> read_files(const std::string& root) {
  const ImageFolder folder = ImageFolder::open(root);
  std::vector<std::vector<char>> files;
  const std::size_t step = std::max<std::size_t>(1, folder.size() / 200);
  for (std::size_t i = 0; i < folder.size(); i += step) {
    std::ifstream file(folder.path(static_cast<std::uint32_t>(i)), std::ios::binary);
    files.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_views FOLDER\n");
    return 2;
  }
  try {
    const auto files = read_files(argv[1]);
    if (files.empty()) throw std::runtime_error("there are no images");
    compare("one crop", {crop(224, 0.08, 1)}, files);
    compare("two crops of 224", {crop(224, 0.08, 1), crop(224, 0.08, 1)}, files);
    std::vector<TransformPlan> dino(2, crop(224, 0.4, 1));
    dino.insert(dino.end(), 8, crop(96, 0.05, 0.4));
    compare("DINO's 2 + 8", dino, files);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_views: %s\n", error.what());
    return 1;
  }
}
