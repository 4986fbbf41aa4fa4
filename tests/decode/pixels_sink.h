#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "decode/row_sink.h"

namespace ringfeed::decode {

/// Keeps the rows of one region, which a function of the image's size chooses.
class PixelsSink : public RowSink {
 public:
  using Choose = std::function<Region(int height, int width)>;

  explicit PixelsSink(Choose choose) : choose_(std::move(choose)) {}
  PixelsSink() : PixelsSink([](int h, int w) { return Region{0, 0, h, w}; }) {}

  Region begin(int h, int w) override {
    height = h;
    width = w;
    rows = 0;
    pixels.clear();
    return region = choose_(h, w);
  }
  void push_row(const std::uint8_t* rgb) override {
    // All that the resize may touch: a sanitizer sees a row that ends too early.
    slack_sum_ += *std::max_element(rgb, rgb + region.width * 3 + decode::row_slack);
    pixels.insert(pixels.end(), rgb, rgb + region.width * 3);
    ++rows;
  }

  int height = 0, width = 0, rows = 0;
  Region region;
  std::vector<std::uint8_t> pixels;

 private:
  Choose choose_;
  std::uint64_t slack_sum_ = 0;
};

}  // namespace ringfeed::decode
