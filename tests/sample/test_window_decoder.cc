#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "resize/resample_reference.h"
#include "sample/window_decoder.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using testing::Octets;

struct Pixels {
  bool ok = false;
  std::string detail{};
  Octets rgb{};
};

/// Into memory of exactly the promised size.
Pixels decode(sample::WindowDecoder& decoder, const Octets& file, const resize::Geometry& window) {
  Pixels pixels;
  pixels.rgb.resize(std::size_t{3} *
                    static_cast<std::size_t>(window.out_height * window.out_width));
  const auto done = decoder.decode(file, window, pixels.rgb);
  pixels.ok = done.has_value();
  if (!done) pixels.detail = done.error().detail;
  return pixels;
}

resize::Geometry window_of(int top, int left, int height, int width, int out_height,
                           int out_width) {
  return {.top = top,
          .left = left,
          .height = height,
          .width = width,
          .resized_height = out_height,
          .resized_width = out_width,
          .out_height = out_height,
          .out_width = out_width};
}

constexpr int rows = 61, columns = 83;

/// Boxes of an image of `rows` x `columns` and sizes: corners, one pixel, all of it, both orders of
/// the passes, widths below a vector.
std::vector<resize::Geometry> windows() {
  std::vector<resize::Geometry> all;
  for (const auto& [top, left, height, width] : std::vector<std::array<int, 4>>{
           {0, 0, rows, columns}, {0, 0, 1, 1}, {60, 82, 1, 1}, {3, 5, 50, 9}, {11, 1, 7, 80}}) {
    for (const auto& [out_height, out_width] : std::vector<std::array<int, 2>>{
             {height, width}, {1, 1}, {16, 31}, {height, 12}, {5, width}, {90, 2}}) {
      all.push_back(window_of(top, left, height, width, out_height, out_width));
    }
  }
  return all;
}

testing::Image mirror(const testing::Image& image) {
  testing::Image mirrored{image.height, image.width, {}};
  for (int y = 0; y < image.height; ++y) {
    for (int x = image.width - 1; x >= 0; --x) {
      mirrored.rgb.insert(mirrored.rgb.end(), image.row(y) + 3 * x, image.row(y) + 3 * x + 3);
    }
  }
  return mirrored;
}

TEST_CASE("a window is what mirror, crop and resize of the whole image give") {
  testing::PngForm form;
  form.width = columns;
  form.height = rows;
  const testing::EncodedPng png = testing::encode_png(form);
  const testing::Image image{rows, columns, png.rgb};
  for (const PillowRule rule : {PillowRule::before_13, PillowRule::from_13}) {
    sample::WindowDecoder decoder(rule, {});
    for (const auto& [name, filter] : interpolations) {
      for (resize::Geometry window : windows()) {
        for (const bool mirrored : {false, true}) {
          CAPTURE(name);
          window.interpolation = filter;
          window.mirrored_source = mirrored;
          const Pixels pixels = decode(decoder, png.file, window);
          REQUIRE(pixels.ok);
          resize::Geometry seen = window;
          if (mirrored) seen.left = columns - window.left - window.width;
          REQUIRE(pixels.rgb ==
                  testing::reference_resize(mirrored ? mirror(image) : image, seen, rule));
        }
      }
    }
  }
}

TEST_CASE("a part of a JPEG has the pixels that it has in the whole") {
  for (const int components : {1, 3, 4}) {
    for (const bool progressive : {false, true}) {
      testing::JpegForm form;
      form.width = columns;
      form.height = rows;
      form.components = components;
      form.progressive = progressive;
      const Octets file = testing::encode_jpeg(form);
      sample::WindowDecoder decoder(PillowRule::from_13, {});
      const Pixels whole = decode(decoder, file, window_of(0, 0, rows, columns, rows, columns));
      REQUIRE(whole.ok);
      const testing::Image image{rows, columns, whole.rgb};
      for (const resize::Geometry& window : windows()) {
        REQUIRE(decode(decoder, file, window).rgb ==
                testing::reference_resize(image, window, PillowRule::from_13));
      }
    }
  }
}

TEST_CASE("a crop that does not lie within the image is refused, and the decoder goes on") {
  testing::JpegForm form;
  form.width = columns;
  form.height = rows;
  const Octets file = testing::encode_jpeg(form);
  sample::WindowDecoder decoder(PillowRule::from_13, {});
  for (const auto& [top, left, height, width] :
       std::vector<std::array<int, 4>>{{-1, 0, 5, 5},
                                       {0, -1, 5, 5},
                                       {rows - 4, 0, 5, 5},
                                       {0, columns - 4, 5, 5},
                                       {0, 0, 2147483647, 5},
                                       {5, 5, 0, 5}}) {
    const Pixels pixels = decode(decoder, file, window_of(top, left, height, width, 3, 3));
    CHECK(!pixels.ok);
    CHECK(pixels.detail == "the crop does not lie within the image");
  }
  CHECK(decode(decoder, file, window_of(0, 0, 5, 5, 3, 3)).ok);
}

TEST_CASE("a file that ends early fails") {
  Octets file = testing::encode_jpeg({});
  file.resize(file.size() / 2);
  sample::WindowDecoder decoder(PillowRule::from_13, {});
  CHECK(decode(decoder, file, window_of(0, 0, 5, 5, 3, 3)).detail.find("truncated") !=
        std::string::npos);
}

}  // namespace
}  // namespace ringfeed
