// What the kernel says that a process of its own holds, against what a loader states.

#include <doctest/doctest.h>

#include <fstream>
#include <string>

#include "ringfeed/loader.h"
#include "support/encode.h"
#include "support/temp_dir.h"

using namespace ringfeed;

namespace {

/// Bytes of a kB field.
std::size_t status(const std::string& field) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(field + ":")) return std::stoul(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

void reset_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

void write_images(const testing::TempDir& root) {
  const auto text = [](const testing::Octets& file) {
    return std::string(file.begin(), file.end());
  };
  const std::string jpeg = text(testing::encode_jpeg(
      {.width = 2400, .height = 1800, .progressive = true, .noise = 0, .flat_rows = 1800}));
  const std::string png =
      text(testing::encode_png({.width = 2000, .height = 1600, .interlaced = true}).file);
  for (int i = 0; i < 64; ++i) {
    const bool is_png = i % 4 == 0;
    root.write("c0/" + std::to_string(i) + (is_png ? ".png" : ".jpg"), is_png ? png : jpeg);
  }
}

}  // namespace

TEST_CASE("sixteen workers on huge images hold no more than the loader states") {
  const testing::TempDir root;
  write_images(root);
  ScanOptions scan;
  scan.use_cache = false;
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = 64, .width = 64};
  LoaderOptions options;
  options.batch_size = 8;
  options.num_workers = 16;
  options.max_file_bytes = 16 << 20;
  options.read_ahead_bytes = 16 << 20;
  options.limits.max_decoder_bytes = 16 << 20;
  options.limits.max_pixels = 6'000'000;
  for (const auto reader : {ReaderKind::ring, ReaderKind::pool}) {
    options.reader = reader;
    ImageFolder images = ImageFolder::open(root.path(), scan);
    const std::size_t before = status("VmRSS");
    reset_peak();
    Loader loader(std::move(images), plan, options);
    std::size_t loaded = 0;
    for (const Batch& batch : loader.epoch(0)) loaded += batch.size();
    CHECK(loaded == 64);
    const std::size_t peak = status("VmHWM") - before;
    CAPTURE(peak);
    CAPTURE(loader.memory_bound());
    CHECK(peak < loader.memory_bound());
    MESSAGE(peak, " of ", loader.memory_bound());
    CHECK(peak > 40'000'000);
  }
}
