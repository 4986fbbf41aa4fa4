#include <doctest/doctest.h>

#include <string>

#include "pipeline/loader_test.h"
#include "support/encode.h"
#include "support/temp_dir.h"

using namespace ringfeed;
using namespace ringfeed::testing;

namespace {

/// 32 progressive JPEGs and interlaced PNGs for which a maker's own memory does not suffice, and 8
/// small images between them.
ImageFolder huge_images() {
  static const TempDir root;
  static const bool written = [] {
    const auto text = [](const Octets& file) { return std::string(file.begin(), file.end()); };
    const std::string jpeg =
        text(encode_jpeg({.width = 2200, .height = 1600, .progressive = true}));
    const std::string png =
        text(encode_png({.width = 1900, .height = 1700, .interlaced = true}).file);
    const std::string small = text(encode_jpeg({}));
    for (int i = 0; i < 40; ++i) {
      const std::string name = "c0/" + std::to_string(i);
      if (i % 5 == 0)
        root.write(name + ".jpg", small);
      else if (i % 5 == 1)
        root.write(name + ".png", png);
      else
        root.write(name + ".jpg", jpeg);
    }
    return true;
  }();
  CHECK(written);
  return open(root.path());
}

TransformPlan square_plan() {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{.height = 64, .width = 64};
  return plan;
}

/// A reserve that holds three of these images.
LoaderOptions with_workers(int workers, ReaderKind reader) {
  LoaderOptions options = small_options(reader);
  options.batch_size = 20;
  options.num_workers = workers;
  options.max_file_bytes = 16 << 20;
  options.limits.max_decoder_bytes = std::size_t{12} << 20;
  options.limits.max_pixels = 4'000'000;
  return options;
}

}  // namespace

TEST_CASE("many workers that wait for memory give the tensors of one that never does") {
  for (const auto reader : readers) {
    Loader alone(huge_images(), square_plan(), with_workers(1, reader));
    Loader crowd(huge_images(), square_plan(), with_workers(8, reader));
    Delivered expected, delivered;
    for (const Batch& batch : alone.epoch(0)) collect(batch, expected);
    for (const Batch& batch : crowd.epoch(0)) collect(batch, delivered);
    CHECK(delivered.size() == 40);
    CHECK(delivered == expected);
    CHECK(alone.stats().reserve_waits == 0);
    CHECK(crowd.stats().reserve_waits > 0);
    CHECK(crowd.stats().reserve_seconds > 0);
  }
}

TEST_CASE("a loader that stops, or whose epoch is left, wakes what waits for memory") {
  for (const auto reader : readers) {
    Loader loader(huge_images(), square_plan(), with_workers(8, reader));
    for (std::uint64_t i = 0; i < 3; ++i) {
      Epoch left = loader.epoch(i);
      CHECK(left.next());
    }
    Epoch stopped = loader.epoch(3);
    CHECK(stopped.next());
    loader.stop();
    CHECK_FALSE(stopped.next());
  }
}

TEST_CASE("with eight workers and batches of 64 a loader holds less than half a gigabyte") {
  LoaderOptions options;
  options.batch_size = 64;
  options.num_workers = 8;
  options.indices.emplace(64, 0);
  TransformPlan plan = TransformPlan::imagenet_train();
  CHECK(Loader(open(folder().root()), plan, options).memory_bound() < 500'000'000);
  plan.interpolation = Interpolation::bicubic;  // its rows and tables are larger
  options.memory_limit = 500'000'000;
  CHECK(Loader(open(folder().root()), plan, options).memory_bound() <= options.memory_limit);
}
