#include <doctest/doctest.h>
#include <zlib.h>

#include <random>
#include <string>
#include <string_view>

#include "decode/pixels_sink.h"
#include "decode/png/decoder.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using decode::PixelsSink;
using decode::PngDecoder;
using decode::Region;
using testing::encode_png;
using testing::Octets;
using testing::PngForm;

std::vector<PngForm> all_forms() {
  std::vector<PngForm> forms;
  const int kinds[][2] = {{1, 0}, {2, 0}, {4, 0}, {8, 0}, {16, 0}, {8, 2}, {16, 2}, {1, 3},
                          {2, 3}, {4, 3}, {8, 3}, {8, 4}, {16, 4}, {8, 6}, {16, 6}};
  for (const auto& kind : kinds) {
    for (const bool interlaced : {false, true}) {
      for (const bool transparency : {false, true}) {
        if (transparency && kind[1] >= 4) continue;
        for (const int side : {1, 2, 5, 8, 33}) {
          PngForm form;
          form.bit_depth = kind[0];
          form.color_type = kind[1];
          form.interlaced = interlaced;
          form.transparency = transparency;
          form.width = side;
          form.height = side + side % 3;
          forms.push_back(form);
        }
      }
    }
  }
  return forms;
}

TEST_CASE("every kind of PNG becomes Pillow's RGB, whole and in part") {
  for (const PngForm& form : all_forms()) {
    CAPTURE(form.bit_depth);
    CAPTURE(form.color_type);
    CAPTURE(form.interlaced);
    CAPTURE(form.width);
    const auto encoded = encode_png(form);
    PngDecoder decoder{DecodeLimits{}};
    PixelsSink whole;
    REQUIRE(decoder.decode(encoded.file, whole).has_value());
    CHECK(whole.pixels == encoded.rgb);
    if (form.height < 5) continue;
    PixelsSink part([](int h, int w) { return Region{2, 1, h - 3, w - 2}; });
    REQUIRE(decoder.decode(encoded.file, part).has_value());
    Octets want;
    for (int y = 2; y < form.height - 1; ++y) {
      const auto at = encoded.rgb.begin() + (y * form.width + 1) * 3;
      want.insert(want.end(), at, at + (form.width - 2) * 3);
    }
    CHECK(part.pixels == want);
    PixelsSink none([](int, int) { return Region{}; });
    REQUIRE(decoder.decode(encoded.file, none).has_value());
    CHECK(none.rows == 0);
  }
}

TEST_CASE("a PNG cut before its last row is truncated, behind it fine") {
  for (const bool interlaced : {false, true}) {
    PngForm form;
    form.interlaced = interlaced;
    const auto encoded = encode_png(form);
    for (std::size_t size = 8; size < encoded.file.size(); ++size) {
      CAPTURE(size);
      const Octets part(encoded.file.begin(),
                        encoded.file.begin() + static_cast<std::ptrdiff_t>(size));
      PixelsSink sink([](int, int) { return Region{0, 0, 1, 1}; });
      const auto done = PngDecoder{DecodeLimits{}}.decode(part, sink);
      // The last 20 bytes are the checksums of the pixels and of the chunk, and IEND.
      if (size + 20 >= encoded.file.size()) {
        CHECK(done.has_value());
        continue;
      }
      REQUIRE_FALSE(done.has_value());
      CHECK(done.error().truncated);
    }
  }
}

TEST_CASE("a damaged PNG is refused: header checksum, compressed data, chunk name") {
  const auto encoded = encode_png(PngForm{});
  const auto verdict = [&](std::size_t at) {
    Octets file = encoded.file;
    file[at] ^= 0x20;
    PixelsSink sink;
    const auto done = PngDecoder{DecodeLimits{}}.decode(file, sink);
    return done ? std::string() : done.error().detail;
  };
  CHECK(verdict(19).find("checksum") != std::string::npos);  // width
  CHECK(verdict(29).find("checksum") != std::string::npos);
  CHECK(verdict(33 + 8).find("broken PNG") != std::string::npos);  // first byte of the stream
  CHECK_FALSE(verdict(36).empty());                                // chunk length
  CHECK(verdict(encoded.file.size() - 17) != "");                  // checksum of the pixels
  CHECK(verdict(encoded.file.size() - 1).empty());                 // IEND's checksum
}

TEST_CASE("chunks before the pixels are judged as Pillow judges them") {
  const auto verdict = [](std::string_view name, Octets content, bool load_truncated = false) {
    Octets chunk{0, 0, 0, static_cast<std::uint8_t>(content.size())};
    chunk.insert(chunk.end(), name.begin(), name.end());
    chunk.insert(chunk.end(), content.begin(), content.end());
    const auto crc = crc32(0, chunk.data() + 4, static_cast<uInt>(chunk.size() - 4));
    for (int shift = 24; shift >= 0; shift -= 8) {
      chunk.push_back(static_cast<std::uint8_t>(crc >> shift));
    }
    Octets file = encode_png(PngForm{}).file;
    file.insert(file.begin() + 33, chunk.begin(), chunk.end());
    DecodeLimits limits;
    limits.load_truncated = load_truncated;
    PixelsSink sink;
    return PngDecoder(limits).decode(file, sink).has_value();
  };
  CHECK(verdict("tEXt", {'a', 0, 'b'}));
  CHECK(verdict("abCd", {1, 2}));
  CHECK(verdict("ABCD", {1, 2}));  // critical and unknown: libpng alone would refuse
  CHECK(verdict("PLTE", {1, 2}));
  CHECK(verdict("gAMA", {0, 0, 1, 1}));
  CHECK_FALSE(verdict("gAMA", {0, 1, 1}));
  CHECK(verdict("gAMA", {0, 1, 1}, true));
  CHECK_FALSE(verdict("tRNS", {0, 1, 0, 1, 0}));
  CHECK(verdict("zTXt", {'a', 0, 0, 7}));
  CHECK_FALSE(verdict("zTXt", {'a', 0, 1, 7}));
  CHECK_FALSE(verdict("iCCP", {'a', 0}));
  CHECK_FALSE(verdict("IEND", {}));
}

TEST_CASE("truncated PNGs load where that is allowed, missing pixels black") {
  for (const bool interlaced : {false, true}) {
    PngForm form;
    form.interlaced = interlaced;
    auto encoded = encode_png(form);
    encoded.file.resize(encoded.file.size() / 2);
    DecodeLimits limits;
    limits.load_truncated = true;
    PixelsSink sink;
    REQUIRE(PngDecoder(limits).decode(encoded.file, sink).has_value());
    REQUIRE(sink.pixels.size() == encoded.rgb.size());
    std::size_t same = 0, black = 0;
    for (std::size_t i = 0; i < sink.pixels.size(); ++i) {
      same += sink.pixels[i] == encoded.rgb[i];
      black += sink.pixels[i] == 0;
      CHECK((sink.pixels[i] == encoded.rgb[i] || sink.pixels[i] == 0));
    }
    CHECK(same > sink.pixels.size() / 4);
    CHECK(black > sink.pixels.size() / 4);
  }
}

TEST_CASE("PNG limits refuse by the option's name") {
  PngForm form;
  form.width = form.height = 100;
  form.interlaced = true;
  const auto encoded = encode_png(form);
  const auto refusal = [&](DecodeLimits limits) {
    PixelsSink sink;
    const auto done = PngDecoder(limits).decode(encoded.file, sink);
    return done ? Option::none : done.error().option;
  };
  DecodeLimits limits;
  limits.max_pixels = 10'000;
  CHECK(refusal(limits) == Option::none);
  limits.max_pixels = 9'999;
  CHECK(refusal(limits) == Option::max_pixels);
  limits = {};
  limits.max_decoder_bytes = 32'000;
  CHECK(refusal(limits) == Option::none);
  limits.max_decoder_bytes = 30'000;
  CHECK(refusal(limits) == Option::max_decoder_bytes);
}

TEST_CASE("a PNG's side may be as long as a JPEG's header can state") {
  for (const int width : {65535, 65536}) {
    PngForm form;
    form.height = 1;
    form.width = width;
    CHECK(PngDecoder::header(encode_png(form).file, {}).has_value() == (width == 65535));
  }
}

TEST_CASE("random damage to a PNG never reads outside it and leaves the decoder as new") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  PngDecoder decoder{DecodeLimits{}};
  const auto forms = all_forms();
  for (int i = 0; i < 1500; ++i) {
    const auto encoded = encode_png(forms[random() % forms.size()]);
    Octets damaged = encoded.file;
    for (unsigned n = random() % 4; n > 0; --n) {
      damaged[8 + random() % (damaged.size() - 8)] = static_cast<std::uint8_t>(random());
    }
    damaged.resize(random() % 2 ? damaged.size() : 8 + random() % (damaged.size() - 8));
    PixelsSink sink;
    (void)decoder.decode(Octets(damaged.begin(), damaged.end()), sink);
    PixelsSink again;
    REQUIRE(decoder.decode(encoded.file, again).has_value());
    CHECK(again.pixels == encoded.rgb);
  }
}

}  // namespace
}  // namespace ringfeed
