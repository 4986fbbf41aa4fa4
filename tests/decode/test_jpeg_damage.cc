#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/markers.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using decode::JpegDecoder;
using decode::PixelsSink;
using testing::encode_jpeg;
using testing::JpegForm;
using testing::Octets;

enum class Verdict { fine, truncated, broken };

/// The region is the first quarter: damage behind it must be found all the same.
Verdict judge(const Octets& file, bool load_truncated = false) {
  DecodeLimits limits;
  limits.load_truncated = load_truncated;
  PixelsSink sink([](int h, int w) { return decode::Region{0, 0, (h + 1) / 2, (w + 1) / 2}; });
  const auto done = JpegDecoder(limits).decode(file, sink);
  if (done) {
    CHECK(sink.rows == sink.region.height);
    return Verdict::fine;
  }
  CHECK(done.error().detail.find('\n') == std::string::npos);
  return done.error().truncated ? Verdict::truncated : Verdict::broken;
}

Octets first(const Octets& file, std::size_t size) {
  return {file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)};
}

Octets with(Octets file, std::size_t at, std::initializer_list<std::uint8_t> bytes) {
  std::copy(bytes.begin(), bytes.end(), file.begin() + static_cast<std::ptrdiff_t>(at));
  return file;
}

std::size_t marker(const Octets& file, std::uint8_t code) {
  for (std::size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xFF && file[i + 1] == code) return i;
  }
  return file.size();
}

JpegForm larger() {
  JpegForm form;
  form.width = 150;
  form.height = 120;
  return form;
}

TEST_CASE("a file that ends early is truncated, wherever it ends") {
  for (const bool progressive : {false, true}) {
    JpegForm form = larger();
    form.progressive = progressive;
    const Octets file = encode_jpeg(form);
    for (std::size_t size = 3; size < file.size(); size += size < 700 ? 1 : 97) {
      CAPTURE(size);
      CHECK(judge(first(file, size)) == Verdict::truncated);
    }
    CHECK(judge(first(file, file.size() - 1)) == Verdict::truncated);
    CHECK(judge(first(file, file.size() - 2)) == Verdict::truncated);
    CHECK(judge(file) == Verdict::fine);
  }
}

TEST_CASE("what Pillow overlooks is overlooked") {
  const Octets file = encode_jpeg(larger());
  const std::size_t middle = file.size() / 2;
  Octets tail = file;
  tail.insert(tail.end(), 100, 0x55);
  CHECK(judge(tail) == Verdict::fine);
  CHECK(judge(with(file, middle, {0xFF, 0xD9})) == Verdict::fine);
  Octets half = first(file, middle);
  half.insert(half.end(), {0xFF, 0xD9});
  CHECK(judge(half) == Verdict::fine);
  CHECK(judge(with(file, middle, {0x12, 0x34})) == Verdict::fine);
  CHECK(judge(with(file, middle, {0xFF, 0xD0})) == Verdict::fine);
}

TEST_CASE("a stray marker behind the region is still found") {
  const Octets file = encode_jpeg(larger());
  const std::size_t late = file.size() - 60;
  CHECK(judge(with(file, late, {0xFF, 0xC4})) == Verdict::broken);
  CHECK(judge(with(file, late, {0xFF, 0xC0})) == Verdict::broken);
}

TEST_CASE("headers that Pillow refuses are refused though libjpeg would take them") {
  const Octets file = encode_jpeg(larger());
  const std::size_t sof = marker(file, 0xC0);
  CHECK(judge(with(file, sof + 4, {12})) == Verdict::broken);    // 12 bits a sample
  CHECK(judge(with(file, sof + 9, {2})) == Verdict::broken);     // 2 components
  CHECK(judge(with(file, sof + 5, {0, 0})) == Verdict::broken);  // no height
  CHECK(judge(with(file, marker(file, 0xDB), {0xFF, 0x02})) == Verdict::broken);
  Octets jfif = file;
  jfif.erase(jfif.begin() + 2, jfif.begin() + 20);
  CHECK(judge(jfif) == Verdict::fine);
  const std::uint8_t short_jfif[] = {0xFF, 0xE0, 0, 7, 'J', 'F', 'I', 'F', 0};
  jfif.insert(jfif.begin() + 2, std::begin(short_jfif), std::end(short_jfif));
  CHECK(judge(jfif) == Verdict::broken);
}

TEST_CASE("truncated files load where that is allowed, the pixels that came being right") {
  const Octets file = encode_jpeg(larger());
  PixelsSink whole, part;
  DecodeLimits limits;
  REQUIRE(JpegDecoder(limits).decode(file, whole).has_value());
  limits.load_truncated = true;
  REQUIRE(JpegDecoder(limits).decode(first(file, file.size() / 2), part).has_value());
  REQUIRE(part.pixels.size() == whole.pixels.size());
  const auto row = static_cast<std::ptrdiff_t>(whole.width) * 3;
  CHECK(std::equal(part.pixels.begin(), part.pixels.begin() + 32 * row, whole.pixels.begin()));
  CHECK_FALSE(
      std::equal(part.pixels.end() - 8 * row, part.pixels.end(), whole.pixels.end() - 8 * row));
  // Headers must be whole even then; a broken scan leaves black.
  CHECK(judge(first(file, 100), true) == Verdict::truncated);
  PixelsSink black;
  REQUIRE(JpegDecoder(limits)
              .decode(with(file, marker(file, 0xC4) + 5, {255, 255, 255}), black)
              .has_value());
  CHECK(black.pixels == Octets(whole.pixels.size(), 0));
}

TEST_CASE("a file without its own tables does not inherit those of the image before") {
  JpegForm form = larger();
  const Octets good = encode_jpeg(form);
  const std::size_t table = marker(good, 0xDB);
  Octets without = first(good, table);
  without.insert(without.end(), good.begin() + static_cast<std::ptrdiff_t>(table + 2 + 67),
                 good.end());
  JpegDecoder decoder{DecodeLimits{}};
  PixelsSink sink;
  REQUIRE(decoder.decode(good, sink).has_value());
  CHECK_FALSE(decoder.decode(without, sink).has_value());
}

TEST_CASE("random damage never reads outside the file and leaves the decoder as new") {
  const unsigned seed = std::random_device{}();
  CAPTURE(seed);
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  JpegDecoder decoder{DecodeLimits{}};
  for (int i = 0; i < 600; ++i) {
    JpegForm form = larger();
    form.progressive = i % 3 == 0;
    form.components = i % 5 == 0 ? 4 : 3;
    form.restart_interval = i % 2 * 4;
    Octets file = encode_jpeg(form);
    PixelsSink reference;
    REQUIRE(JpegDecoder{DecodeLimits{}}.decode(file, reference).has_value());
    Octets damaged = file;
    for (unsigned n = random() % 6; n > 0; --n) {
      damaged[3 + random() % (damaged.size() - 3)] = static_cast<std::uint8_t>(random());
    }
    damaged.resize(random() % 2 ? damaged.size() : 3 + random() % (damaged.size() - 3));
    PixelsSink sink([](int h, int w) { return decode::Region{h / 4, w / 4, h / 2, w / 2}; });
    // An exact copy on the heap: the sanitizer sees any byte read beyond it.
    (void)decoder.decode(Octets(damaged.begin(), damaged.end()), sink);
    PixelsSink again;
    REQUIRE(decoder.decode(file, again).has_value());
    CHECK(again.pixels == reference.pixels);
  }
}

TEST_CASE("the scan's end is found behind stuffing, fill bytes and restarts only") {
  const auto ends = [](const Octets& scan) { return decode::scan_ends_in_eoi(scan); };
  CHECK(ends({1, 2, 0xFF, 0xD9}));
  CHECK(ends({0xFF, 0xD9}));
  CHECK(ends({1, 0xFF, 0, 0xFF, 0xD3, 7, 0xFF, 0xFF, 0xD9, 1, 2}));
  CHECK_FALSE(ends({}));
  CHECK_FALSE(ends({1, 2, 0xFF}));
  CHECK_FALSE(ends({1, 0xFF, 0}));
  CHECK_FALSE(ends({1, 0xFF, 0xDA, 0xFF, 0xD9}));
  CHECK_FALSE(ends({1, 0xFF, 0x01, 0xFF, 0xD9}));
}

}  // namespace
}  // namespace ringfeed
