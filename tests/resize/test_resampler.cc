#include <doctest/doctest.h>
#include <xxhash.h>

#include <random>

#include "resample_reference.h"
#include "resize/resampler.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using augment::Geometry;
using testing::Image;

struct GoldenCase {
  int kind;
  int image_height, image_width;
  Geometry geometry;
  std::uint64_t before_13, from_13;
};

const GoldenCase golden_cases[] = {
#include "golden_resample.inc"
};

std::vector<std::uint8_t> run(PillowRule rule, const Geometry& geometry, const Image& image) {
  resize::Resampler resampler(rule);
  return testing::resample(resampler, geometry, image);
}

Geometry whole(int in_height, int in_width, int out_height, int out_width) {
  Geometry g;
  g.height = in_height;
  g.width = in_width;
  g.resized_height = g.out_height = out_height;
  g.resized_width = g.out_width = out_width;
  return g;
}

void check_both_rules(const Geometry& g, const Image& image) {
  for (PillowRule rule : {PillowRule::before_13, PillowRule::from_13}) {
    CAPTURE(static_cast<int>(rule));
    CHECK(run(rule, g, image) == testing::reference_resize(image, g, rule));
  }
}

constexpr Interpolation filters[] = {Interpolation::nearest,  Interpolation::box,
                                     Interpolation::bilinear, Interpolation::hamming,
                                     Interpolation::bicubic,  Interpolation::lanczos};

int draw(std::mt19937_64& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

Geometry random_geometry(std::mt19937_64& random, int image_height, int image_width) {
  Geometry g;
  g.height = draw(random, 1, image_height);
  g.width = draw(random, 1, image_width);
  g.top = draw(random, 0, image_height - g.height);
  g.left = draw(random, 0, image_width - g.width);
  g.resized_height = draw(random, 0, 9) == 0 ? g.height : draw(random, 1, 70);
  g.resized_width = draw(random, 0, 9) == 0 ? g.width : draw(random, 1, 70);
  g.out_height = g.resized_height;
  g.out_width = g.resized_width;
  if (draw(random, 0, 1) == 1) {
    g.out_height = draw(random, 1, 80);
    g.out_width = draw(random, 1, 80);
    g.window_top = draw(random, -g.out_height - 2, g.resized_height + 2);
    g.window_left = draw(random, -g.out_width - 2, g.resized_width + 2);
  }
  g.hflip = draw(random, 0, 1) == 1;
  g.interpolation = filters[draw(random, 0, 5)];
  return g;
}

TEST_CASE("resized pixels hash to what Pillow 12 and Pillow 13 gave") {
  int orders_differ = 0;
  for (const GoldenCase& c : golden_cases) orders_differ += c.before_13 != c.from_13;
  REQUIRE(orders_differ >= 20);  // else the rules are not told apart
  testing::for_each_target([](const std::string&) {
    for (const GoldenCase& c : golden_cases) {
      const Image image = testing::synthetic_image(c.kind, c.image_height, c.image_width);
      const Geometry& g = c.geometry;
      CAPTURE(&c - golden_cases);
      const auto old = run(PillowRule::before_13, g, image);
      CHECK(XXH3_64bits(old.data(), old.size()) == c.before_13);
      const auto recent = run(PillowRule::from_13, g, image);
      CHECK(XXH3_64bits(recent.data(), recent.size()) == c.from_13);
    }
  });
}

TEST_CASE("every instruction set equals the plain loops at awkward sizes") {
  struct Case {
    int in_height, in_width, out_height, out_width;
  };
  const Case cases[] = {
      {1, 1, 1, 1},       {1, 1, 7, 5},      {1, 97, 13, 31},  {97, 1, 31, 13},  {13, 17, 13, 17},
      {5, 3, 101, 67},    {101, 103, 1, 1},  {64, 64, 64, 31}, {64, 64, 31, 64}, {131, 37, 37, 131},
      {37, 131, 131, 37}, {200, 64, 67, 64}, {16, 16, 15, 17}, {33, 48, 11, 16}, {2, 2, 1, 3},
  };
  testing::for_each_target([&](const std::string&) {
    for (const Case& c : cases) {
      CAPTURE(c.in_height);
      CAPTURE(c.in_width);
      CAPTURE(c.out_height);
      CAPTURE(c.out_width);
      const Image image = testing::synthetic_image(1, c.in_height, c.in_width);
      Geometry g = whole(c.in_height, c.in_width, c.out_height, c.out_width);
      for (const Interpolation filter : filters) {
        CAPTURE(to_string(filter));
        g.interpolation = filter;
        for (const bool hflip : {false, true}) {
          g.hflip = hflip;
          check_both_rules(g, image);
        }
      }
    }
  });
}

TEST_CASE("thousands of taps are summed exactly") {
  testing::for_each_target([](const std::string&) {
    for (Geometry g : {whole(5000, 9, 8, 4), whole(9, 5000, 4, 8), whole(3001, 2003, 1, 2)}) {
      for (const Interpolation filter : filters) {
        g.interpolation = filter;
        check_both_rules(g, testing::synthetic_image(1, g.height, g.width));
      }
    }
    // All white is the largest sum there is without weights below 0; with them, white where they
    // are above.
    Image white{1, 5000, std::vector<std::uint8_t>(15000, 255)};
    check_both_rules(whole(1, 5000, 1, 3), white);
    for (const Interpolation filter : {Interpolation::bicubic, Interpolation::lanczos}) {
      Geometry g = whole(1, 5000, 1, 1);
      g.interpolation = filter;
      Image lobes = white;
      for (int x = 0; x < 5000; ++x) {
        const double from_center = std::abs(x - 2499.5) / 5000 * 2;
        if (from_center > 0.5) std::fill_n(&lobes.rgb[3 * static_cast<std::size_t>(x)], 3, 0);
      }
      check_both_rules(g, lobes);
    }
  });
}

TEST_CASE("random crops, windows, paddings and flips equal the plain loops") {
  const std::uint64_t seed = std::random_device{}();
  MESSAGE("seed " << seed);
  testing::for_each_target([&](const std::string&) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < 150; ++i) {
      CAPTURE(i);
      const int height = draw(random, 1, 150);
      const int width = draw(random, 1, 150);
      const Image image = testing::synthetic_image(draw(random, 0, 2), height, width);
      check_both_rules(random_geometry(random, height, width), image);
    }
  });
}

TEST_CASE("one resampler gives the same image after others of other sizes") {
  std::mt19937_64 random(7);
  const Image image = testing::synthetic_image(0, 150, 140);
  const Geometry fixed = whole(150, 140, 40, 50);
  resize::Resampler resampler(PillowRule::from_13);
  const auto first = testing::resample(resampler, fixed, image);
  for (int i = 0; i < 30; ++i) {
    const Geometry other = random_geometry(random, 150, 140);
    const auto got = testing::resample(resampler, other, image);
    CHECK(got == testing::reference_resize(image, other, PillowRule::from_13));
    CHECK(testing::resample(resampler, fixed, image) == first);
  }
}

TEST_CASE("only the source that the window needs is asked for") {
  Geometry g = whole(1000, 800, 256, 256);
  g.top = 11;
  g.left = 23;
  g.out_height = g.out_width = 128;
  g.window_top = g.window_left = 64;
  resize::Resampler resampler(PillowRule::from_13);
  const auto region = resampler.begin(g);
  // Outputs 64 to 191 of 256 lie over source rows 250 to 750, plus the filter's reach of one
  // output pixel (3.9 rows) on either side.
  CHECK(region.top >= 11 + 246);
  CHECK(region.top + region.height <= 11 + 754);
  CHECK(region.left >= 23 + 196);
  CHECK(region.left + region.width <= 23 + 604);
}

TEST_CASE("a window outside the image asks for no rows and is black") {
  Geometry g = whole(10, 10, 20, 20);
  g.out_height = g.out_width = 5;
  g.window_left = 20;
  resize::Resampler resampler(PillowRule::from_13);
  const auto region = resampler.begin(g);
  CHECK(region.height == 0);
  CHECK(region.width == 0);
  CHECK(testing::resample(resampler, g, Image{10, 10, {}}) == std::vector<std::uint8_t>(75));
}

}  // namespace
}  // namespace ringfeed
