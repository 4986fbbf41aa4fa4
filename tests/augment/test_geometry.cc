#include <doctest/doctest.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "augment/draw_operations.h"
#include "augment/erasing.h"
#include "augment/fixed_math.h"
#include "augment/geometry.h"
#include "augment/mixing.h"
#include "augment/noise.h"
#include "ringfeed/policies.h"

namespace {

using ringfeed::Augmentation;
using ringfeed::Box;
using ringfeed::Interpolation;
using ringfeed::Operation;
using ringfeed::RandomAffine;
using ringfeed::RandomCrop;
using ringfeed::RandomCropOrPad;
using ringfeed::RandomResizedCrop;
using ringfeed::RandomRotation;
using ringfeed::ResizeCenterCrop;
using ringfeed::ResizeKeepRatio;
using ringfeed::ResizeRandomCrop;
using ringfeed::TransformPlan;
using ringfeed::augment::draw_erasing;
using ringfeed::augment::draw_geometry;
using ringfeed::augment::draw_operations;
using ringfeed::augment::exp_fixed;
using ringfeed::augment::Geometry;
using ringfeed::augment::log_fixed;
using ringfeed::data::Key;
using ringfeed::data::make_key;

struct RandomCase {
  double scale_min, scale_max, ratio_min, ratio_max;
  std::uint64_t seed, epoch, position;
  int height, width;
  int top, left, crop_height, crop_width, flipped;
};

constexpr RandomCase random_cases[] = {
#include "random_crop.inc"
};

struct CenterCase {
  int height, width, resize, out_height, out_width;
  int resized_height, resized_width, top, left;
};

constexpr CenterCase center_cases[] = {
#include "center_crop.inc"
};

struct MaxSizeCase {
  int height, width, resize, max_size;
  int resized_height, resized_width;
};

constexpr MaxSizeCase max_size_cases[] = {
#include "max_size.inc"
};

TransformPlan center_plan(int resize, int height, int width) {
  TransformPlan plan;
  plan.geometry = ResizeCenterCrop{resize, height, width};
  plan.hflip_probability = 0;
  return plan;
}

/// FNV-1a over 10,000 geometries of changing sizes, and over the bits of as many ratios: rounding
/// to pixels hides most differences in a last bit. Over those of operations, erasing and
/// mixing too.
std::uint64_t hash_of_draws() {
  const TransformPlan plan = TransformPlan::imagenet_train();
  TransformPlan cutting = plan;
  cutting.geometry = ResizeRandomCrop{.resize = 300, .height = 224, .width = 224};
  const std::vector filters{Interpolation::bilinear, Interpolation::bicubic};
  const std::vector<Augmentation> augmentation{
      {.step =
           RandomAffine{
               .degrees = {-90, 90}, .scale = {0.5, 2}, .shear_x = {-9, 9}, .shear_y = {-9, 9}}},
      {.step = RandomRotation{.low = -180, .high = 180}},
      ringfeed::trivial_augment_wide({}),
      {.step =
           RandomCrop{.height = 500, .width = 400, .left = 20, .top = 10, .pad_if_needed = true}},
      {.step = ResizeKeepRatio{.longest = 0.3,
                               .interpolations = filters,
                               .scale_probability = 0.5,
                               .aspect_probability = 0.5}},
      {.step = RandomCropOrPad{.height = 200, .width = 260}},
      {.step = RandomResizedCrop{.interpolations = filters}}};
  std::vector<Operation> operations;
  std::vector<Box> erased;
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (std::uint64_t position = 0; position < 10'000; ++position) {
    const int height = 1 + static_cast<int>(position * 7919 % 4001);
    const int width = 1 + static_cast<int>(position * 104'729 % 3001);
    ringfeed::data::RandomStream draws(make_key(3, 4), position, ringfeed::data::Purpose::crop);
    const double log_ratio = log_fixed(3.0 / 4.0 + draws.uniform());
    ringfeed::data::RandomStream mixing(make_key(3, 4), position, ringfeed::data::Purpose::mixing);
    const double normal = ringfeed::augment::draw_normal(mixing);
    const double beta = ringfeed::augment::draw_beta(mixing, 0.2);
    for (const double value : {log_ratio, exp_fixed(log_ratio), normal, beta}) {
      hash = (hash ^ std::bit_cast<std::uint64_t>(value)) * 0x100000001b3u;
    }
    REQUIRE(draw_operations(augmentation, height, width, make_key(3, 4), position,
                            ringfeed::DecodeLimits{}.max_canvas_bytes, operations));
    for (const Operation& operation : operations) {
      hash = (hash ^ static_cast<std::uint64_t>(operation.interpolation)) * 0x100000001b3u;
      for (const double value : operation.values) {
        hash = (hash ^ std::bit_cast<std::uint64_t>(value)) * 0x100000001b3u;
      }
    }
    draw_erasing({.max_count = 3}, height, width, make_key(3, 4), position, erased);
    for (const Box& box : erased) {
      for (const int value : {box.top, box.left, box.height, box.width}) {
        hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001b3u;
      }
    }
    for (const float value : ringfeed::augment::noise_of_box(position, 0, 8)) {
      hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001b3u;
    }
    const Geometry g = draw_geometry(plan, height, width, make_key(3, 4), position);
    const Geometry cut = draw_geometry(cutting, height, width, make_key(3, 4), position);
    for (const int value : {g.top, g.left, g.height, g.width, static_cast<int>(g.hflip),
                            cut.window_top, cut.window_left}) {
      hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001b3u;
    }
  }
  return hash;
}

/// hash_of_draws() of this program started anew with `tunables`.
std::string hash_under(const char* tunables) {
  std::array<char, 4096> self{};
  REQUIRE(readlink("/proc/self/exe", self.data(), self.size() - 1) > 0);
  const std::string command = std::string("GLIBC_TUNABLES=") + tunables + " '" + self.data() +
                              "' --test-case='print the hash of draws' --no-skip --minimal";
  const std::unique_ptr<FILE, int (*)(FILE*)> child(popen(command.c_str(), "r"), pclose);
  REQUIRE(child != nullptr);
  std::array<char, 256> line{};
  std::string hash;
  while (std::fgets(line.data(), line.size(), child.get()) != nullptr) {
    if (std::string(line.data()).starts_with("hash ")) hash = line.data();
  }
  return hash;
}

}  // namespace

TEST_CASE("crops are those of torchvision's get_params on the same draws") {
  for (const RandomCase& c : random_cases) {
    CAPTURE(c.position);
    CAPTURE(c.height);
    CAPTURE(c.width);
    TransformPlan plan;
    plan.geometry = RandomResizedCrop{224, 192, c.scale_min, c.scale_max, c.ratio_min, c.ratio_max};
    const Geometry expected{c.top, c.left, c.crop_height, c.crop_width, 224,           192,
                            0,     0,      224,           192,          c.flipped != 0};
    const Key key = make_key(c.seed, c.epoch);
    CHECK(draw_geometry(plan, c.height, c.width, key, c.position) == expected);
  }
}

TEST_CASE("resize and centre crop round and pad as torchvision does") {
  for (const CenterCase& c : center_cases) {
    CAPTURE(c.height);
    CAPTURE(c.width);
    CAPTURE(c.resize);
    const TransformPlan plan = center_plan(c.resize, c.out_height, c.out_width);
    const Geometry expected{0,
                            0,
                            c.height,
                            c.width,
                            c.resized_height,
                            c.resized_width,
                            c.top,
                            c.left,
                            c.out_height,
                            c.out_width,
                            false};
    CHECK(draw_geometry(plan, c.height, c.width, make_key(0, 0), 0) == expected);
  }
}

TEST_CASE("max_size shortens both sides as torchvision does") {
  for (const MaxSizeCase& c : max_size_cases) {
    CAPTURE(c.height);
    CAPTURE(c.width);
    TransformPlan plan = center_plan(c.resize, 8, 8);
    std::get<ResizeCenterCrop>(plan.geometry).max_size = c.max_size;
    plan.validate();
    const Geometry g = draw_geometry(plan, c.height, c.width, make_key(0, 0), 0);
    CHECK(g.resized_height == c.resized_height);
    CHECK(g.resized_width == c.resized_width);
  }
}

TEST_CASE("of a thin image that max_size shortens to nothing one pixel is kept") {
  TransformPlan plan = center_plan(256, 8, 8);
  std::get<ResizeCenterCrop>(plan.geometry).max_size = 300;
  const Geometry g = draw_geometry(plan, 60000, 100, make_key(0, 0), 0);
  CHECK(g.resized_height == 300);
  CHECK(g.resized_width == 1);
}

TEST_CASE("an exact size stretches, no size leaves the image as it is") {
  TransformPlan plan = center_plan(0, 5, 6);
  std::get<ResizeCenterCrop>(plan.geometry).resize_height = 7;
  std::get<ResizeCenterCrop>(plan.geometry).resize_width = 3;
  plan.validate();
  CHECK(draw_geometry(plan, 100, 200, make_key(0, 0), 0) ==
        Geometry{0, 0, 100, 200, 7, 3, 1, -1, 5, 6, false});

  plan = center_plan(0, 5, 6);
  plan.validate();
  CHECK(draw_geometry(plan, 4, 20, make_key(0, 0), 0) ==
        Geometry{0, 0, 4, 20, 4, 20, 0, 7, 5, 6, false});
}

TEST_CASE("sizes that contradict each other are refused") {
  const auto refused = [](int resize, int height, int width) {
    TransformPlan plan = center_plan(resize, 8, 8);
    std::get<ResizeCenterCrop>(plan.geometry).resize_height = height;
    std::get<ResizeCenterCrop>(plan.geometry).resize_width = width;
    try {
      plan.validate();
    } catch (const std::invalid_argument&) {
      return true;
    }
    return false;
  };
  CHECK_FALSE(refused(256, 0, 0));
  CHECK_FALSE(refused(0, 0, 0));
  CHECK_FALSE(refused(0, 8192, 1));
  CHECK(refused(-1, 0, 0));
  CHECK(refused(8193, 0, 0));
  CHECK(refused(256, 10, 10));
  CHECK(refused(256, 10, 0));
  CHECK(refused(0, 10, 0));
  CHECK(refused(0, 0, 10));
  CHECK(refused(0, -1, 10));
  CHECK(refused(0, 10, 8193));
}

TEST_CASE("an image whose resized side no int holds saturates") {
  const TransformPlan plan = center_plan(256, 224, 224);
  const Geometry g = draw_geometry(plan, 1, 100'000'000, make_key(0, 0), 0);
  CHECK(g.resized_height == 256);
  CHECK(g.resized_width == INT_MAX);
}

TEST_CASE("a crop never leaves the image and never is empty, however extreme the ratios") {
  TransformPlan plan;
  plan.geometry = RandomResizedCrop{8, 8, 1e-9, 1e9, 1e-300, 1e300};
  for (const double ratio : {1e-300, 0.1, 10.0, 1e300}) {
    std::get<RandomResizedCrop>(plan.geometry).ratio_min = ratio < 1 ? 1e-300 : ratio;
    std::get<RandomResizedCrop>(plan.geometry).ratio_max = ratio < 1 ? ratio : 1e300;
    for (const auto [height, width] : {std::array{1, 1}, {1, 5000}, {5000, 1}, {65535, 65535}}) {
      for (std::uint64_t position = 0; position < 100; ++position) {
        const Geometry g = draw_geometry(plan, height, width, make_key(1, 1), position);
        CHECK((g.top >= 0 && g.height > 0 && g.top + g.height <= height));
        CHECK((g.left >= 0 && g.width > 0 && g.left + g.width <= width));
      }
    }
  }
}

TEST_CASE("mirroring happens never, always, or half of the time") {
  TransformPlan plan = center_plan(8, 8, 8);
  for (const double probability : {0.0, 0.5, 1.0}) {
    plan.hflip_probability = probability;
    int flipped = 0;
    for (std::uint64_t position = 0; position < 4000; ++position) {
      flipped += draw_geometry(plan, 8, 8, make_key(9, 9), position).hflip;
    }
    // Six standard deviations of 4,000 fair coins are 190.
    const double slack = probability == 0.5 ? 190 : 0;
    CHECK(flipped >= 4000 * probability - slack);
    CHECK(flipped <= 4000 * probability + slack);
  }
}

TEST_CASE("print the hash of draws" * doctest::skip()) {
  std::printf("\nhash %016llx\n", static_cast<unsigned long long>(hash_of_draws()));
}

TEST_CASE("draws stay what they were: states and records name samples by them") {
  CHECK(hash_of_draws() == 0x55bd08155aa22b94u);  // of the first release that had these steps
}

TEST_CASE("draws are the same whatever instructions libm uses") {
  std::array<char, 32> here{};
  std::snprintf(here.data(), here.size(), "hash %016llx\n",
                static_cast<unsigned long long>(hash_of_draws()));
  CHECK(hash_under("glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4") == here.data());
  CHECK(hash_under("glibc.cpu.hwcaps=-AVX512F,-AVX,-SSE4_1,-FMA,-AVX2,-FMA4") == here.data());
}
