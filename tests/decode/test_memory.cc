#include <doctest/doctest.h>

#include <algorithm>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/markers.h"
#include "decode/png/decoder.h"
#include "support/counted_heap.h"
#include "support/greedy_files.h"

namespace ringfeed {
namespace {

/// Decodes nothing but asks for all of an image, or for none of it.
struct NoSink final : decode::RowSink {
  explicit NoSink(bool w = true) : wanted(w) {}
  decode::Region begin(int height, int width) override {
    return wanted ? decode::Region{0, 0, height, width} : decode::Region{};
  }
  void push_row(const std::uint8_t*) override {}
  bool wanted;
};

TEST_CASE("a JPEG decoder stays within its bound") {
  const auto jpegs = testing::greedy_jpegs();
  for (const std::size_t most : {std::size_t{0}, std::size_t{20} << 20, std::size_t{100} << 20}) {
    DecodeLimits limits;
    limits.max_decoder_bytes = most;
    limits.load_truncated = true;
    const std::size_t greediest = testing::peak_of([&] {
      decode::JpegDecoder decoder(limits);
      for (const testing::GreedyJpeg& jpeg : jpegs) {
        NoSink sink(jpeg.wanted);
        (void)decoder.decode(jpeg.file, sink);
      }
    });
    CHECK(greediest <=
          decode::JpegDecoder::most_need(limits) + decode::JpegDecoder::scratch_bound());
    CHECK(greediest > most * 3 / 4);
    CHECK(greediest > 4'000'000);
  }
}

TEST_CASE("a JPEG decoder takes what is said of the file before") {
  for (const std::size_t most : {std::size_t{20} << 20, std::size_t{100} << 20}) {
    DecodeLimits limits;
    limits.max_decoder_bytes = most;
    limits.load_truncated = true;
    std::size_t largest = 0;
    for (const testing::GreedyJpeg& jpeg : testing::greedy_jpegs()) {
      const auto header = decode::JpegDecoder::header(jpeg.file, limits);
      REQUIRE(header);
      const std::size_t need = decode::JpegDecoder::need(jpeg.file, *header, limits);
      decode::JpegDecoder decoder(limits);
      const std::size_t taken = testing::peak_of([&] {
        NoSink sink(jpeg.wanted);
        (void)decoder.decode(jpeg.file, sink);
      });
      CHECK(taken <= need + decode::JpegDecoder::scratch_bound());
      CHECK(need <= decode::JpegDecoder::most_need(limits));
      largest = std::max(largest, need);
    }
    CHECK(largest > most * 3 / 4);
  }
}

TEST_CASE("a PNG decoder stays within its bound") {
  const auto pngs = testing::greedy_pngs();
  const DecodeLimits limits = testing::just_enough_for_pngs();
  const std::size_t greediest = testing::peak_of([&] {
    decode::PngDecoder decoder(limits);
    for (const testing::Octets& png : pngs) {
      NoSink sink;
      REQUIRE(decoder.decode(png, sink));
    }
  });
  CHECK(greediest <= decode::PngDecoder::most_need(limits) + decode::PngDecoder::scratch_bound);
  for (const testing::Octets& png : pngs) {
    const std::size_t need = decode::PngDecoder::need(*decode::PngDecoder::header(png, limits));
    decode::PngDecoder decoder(limits);
    NoSink sink;
    const std::size_t taken = testing::peak_of([&] { (void)decoder.decode(png, sink); });
    CHECK(taken <= need + decode::PngDecoder::scratch_bound);
    CHECK(need <= decode::PngDecoder::most_need(limits));
  }
  CHECK(greediest > limits.max_decoder_bytes);
}

}  // namespace
}  // namespace ringfeed
