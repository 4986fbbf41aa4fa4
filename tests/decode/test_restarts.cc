#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/entropy/lanes.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using decode::BandCounts;
using decode::BandShape;
using decode::EntropyBackend;
using decode::JpegDecoder;
using decode::PixelBackend;
using decode::PixelsSink;
using decode::Region;
using testing::encode_jpeg;
using testing::JpegForm;
using testing::Octets;

/// Verdict and pixels.
struct Outcome {
  std::string failure;
  Octets pixels;
  bool operator==(const Outcome&) const = default;
};

/// Of a part, by its share of the image in 16ths.
struct Part {
  int top = 0, left = 0, height = 16, width = 16;
};

Outcome outcome(JpegDecoder& decoder, const Octets& file, const Part& part) {
  PixelsSink sink([&](int height, int width) {
    return Region{part.top * height / 16, part.left * width / 16,
                  std::max(1, part.height * height / 16), std::max(1, part.width * width / 16)};
  });
  const auto result = decoder.decode(file, sink);
  if (!result) return {result.error().detail, {}};
  return {"", std::move(sink.pixels)};
}

/// Verdict and pixels are libjpeg's, whoever makes the pixels, whole and in part. What the streams
/// met in the whole image.
BandCounts check_equal(const Octets& file, const BandShape& shape = {}) {
  JpegDecoder theirs(DecodeLimits{}, EntropyBackend::libjpeg, PixelBackend::libjpeg);
  JpegDecoder ours(DecodeLimits{}, EntropyBackend::streams, PixelBackend::libjpeg, shape);
  JpegDecoder pixels(DecodeLimits{}, EntropyBackend::streams, PixelBackend::vectors, shape);
  BandShape of_lanes = shape;
  of_lanes.streams = decode::most_lanes;
  of_lanes.least_bytes = 1;
  const bool has_lanes = decode::has_lanes();
  JpegDecoder lanes(DecodeLimits{}, EntropyBackend::lanes, PixelBackend::vectors, of_lanes);
  BandCounts counts;
  for (const Part& part : {Part{}, {0, 0, 5, 9}, {4, 3, 8, 8}, {9, 0, 1, 16}, {12, 7, 4, 2}}) {
    CAPTURE(part.top);
    const Outcome expected = outcome(theirs, file, part);
    REQUIRE(outcome(ours, file, part) == expected);
    REQUIRE(outcome(pixels, file, part) == expected);
    if (has_lanes) REQUIRE(outcome(lanes, file, part) == expected);
    if (part.height == 16) counts = ours.entropy_counts();
  }
  return counts;
}

int mcus_wide(const JpegForm& form) {
  const int width = form.components == 1 ? 8 : 8 * form.horizontal;
  return (form.width + width - 1) / width;
}

/// 4:2:0, with a restart in front of each row of MCUs but the first.
JpegForm photo() {
  JpegForm form;
  form.width = 400;
  form.height = 300;
  form.restart_interval = mcus_wide(form);
  return form;
}

/// Where in the file the bytes of each interval begin, and where the last one ends.
std::vector<std::size_t> intervals(const Octets& file) {
  std::vector<std::size_t> begins;
  for (std::size_t i = 2; i + 1 < file.size(); ++i) {
    if (file[i] != 0xFF) continue;
    if (file[i + 1] == 0xDA) begins.push_back(i + 2 + file[i + 3]);
    if (file[i + 1] >= 0xD0 && file[i + 1] < 0xD8) begins.push_back(i + 2);
  }
  begins.push_back(file.size());
  return begins;
}

Octets spliced(Octets file, std::size_t at, std::initializer_list<std::uint8_t> bytes) {
  file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), bytes);
  return file;
}

Octets without(Octets file, std::size_t at, std::size_t count) {
  const auto first = file.begin() + static_cast<std::ptrdiff_t>(at);
  file.erase(first, first + static_cast<std::ptrdiff_t>(count));
  return file;
}

TEST_CASE("files with restarts have libjpeg's pixels in every sampling, whole and in part") {
  struct Layout {
    int components, horizontal, vertical;
  };
  std::mt19937 random(1);
  for (const Layout& layout : {Layout{1, 1, 1},
                               {1, 2, 2},
                               {3, 1, 1},
                               {3, 2, 1},
                               {3, 2, 2},
                               {3, 1, 2},
                               {3, 4, 1},
                               {4, 1, 1}}) {
    JpegForm form;
    form.width = 203;
    form.height = 157;
    form.components = layout.components;
    form.horizontal = layout.horizontal;
    form.vertical = layout.vertical;
    const int row = mcus_wide(form);
    for (const int interval : {1, 2, 7, row - 1, row, row + 1, 3 * row, 5 * row + 3}) {
      form.restart_interval = interval;
      form.seed = random();
      BandShape shape;
      shape.streams = 1 + static_cast<int>(random() % decode::most_streams);
      shape.least_bytes = 1 + random() % 300;
      shape.most_bytes = 200 + random() % 20000;
      CAPTURE(layout.components);
      CAPTURE(layout.horizontal);
      CAPTURE(layout.vertical);
      CAPTURE(interval);
      const BandCounts counts = check_equal(encode_jpeg(form), shape);
      CHECK(counts.bands > 0);
      CHECK(counts.odd == 0);
    }
  }
}

TEST_CASE("streams begin at restarts, where a band has several") {
  const BandCounts counts = check_equal(encode_jpeg(photo()));
  CHECK(counts.bands == 1);
  CHECK(counts.intervals == 19);
  CHECK(counts.joined + counts.dropped + counts.odd == 0);
}

TEST_CASE("an interval too long for a band is read in parts by streams that join") {
  JpegForm form = photo();
  form.restart_interval = 7 * mcus_wide(form);
  BandShape shape;
  shape.least_bytes = 300;
  shape.most_bytes = 4000;
  const BandCounts counts = check_equal(encode_jpeg(form), shape);
  CHECK(counts.bands > 6);
  CHECK(counts.joined > 0);
  CHECK(counts.odd == 0);
}

TEST_CASE("more restarts than a window has room for are read window after window") {
  JpegForm form;
  form.components = 1;
  form.width = form.height = 640;
  form.noise = 0;
  form.restart_interval = 1;
  const BandCounts counts = check_equal(encode_jpeg(form));
  CHECK(counts.intervals == 6400);
  CHECK(counts.bands > 3);
  CHECK(counts.odd == 0);
}

TEST_CASE("only the intervals of the region's rows are read") {
  const Octets file = encode_jpeg(photo());
  for (const PixelBackend pixels : {PixelBackend::libjpeg, PixelBackend::vectors}) {
    JpegDecoder decoder(DecodeLimits{}, EntropyBackend::streams, pixels, {});
    REQUIRE(outcome(decoder, file, {0, 0, 4, 16}).failure.empty());
    CHECK(decoder.entropy_counts().intervals == 5);  // 75 rows of pixels
    REQUIRE(outcome(decoder, file, {8, 0, 4, 16}).failure.empty());
    CHECK(decoder.entropy_counts().intervals == 5 + 6);  // and a row above
  }
}

TEST_CASE("damage above the region or below it is not met") {
  Octets file = encode_jpeg(photo());
  const std::vector<std::size_t> begins = intervals(file);
  file = without(file, begins[18] - 5, 3);
  file = spliced(file, begins[2] - 2, {0x55, 0x55});
  CHECK(check_equal(file).odd == 1);
  JpegDecoder decoder(DecodeLimits{}, EntropyBackend::streams, PixelBackend::vectors, {});
  REQUIRE(outcome(decoder, file, {8, 0, 4, 16}).failure.empty());
  CHECK(decoder.entropy_counts().odd == 0);
}

TEST_CASE("a restart that is not the one expected makes the file libjpeg's from the start") {
  const Octets file = encode_jpeg(photo());
  const std::vector<std::size_t> begins = intervals(file);
  REQUIRE(begins.size() == 20);
  const std::size_t restart = begins[5] - 2, middle = (begins[4] + begins[5]) / 2;
  Octets other = file;
  other[restart + 1] ^= 1;
  std::vector<std::pair<const char*, Octets>> files{
      {"wrong number", other},
      {"missing", without(file, restart, 2)},
      {"the last one missing", without(file, begins[18] - 2, 2)},
      {"twice", spliced(file, restart, {0xFF, file[restart + 1]})},
      {"behind a fill byte", spliced(file, restart, {0xFF})},
      {"one more", spliced(file, middle, {0xFF, file[restart + 1]})},
      {"behind the last interval", spliced(file, file.size() - 2, {0xFF, 0xD2})}};
  other = file;
  std::swap(other[begins[5] - 1], other[begins[6] - 1]);
  files.emplace_back("out of order", other);
  std::size_t dri = 2;
  while (file[dri] != 0xFF || file[dri + 1] != 0xDD) ++dri;
  for (const std::uint8_t interval : {0, 1, 23, 27, 255}) {
    other = file;
    other[dri + 5] = interval;
    files.emplace_back("announced otherwise", other);
  }
  for (const auto& [what, damaged] : files) {
    CAPTURE(what);
    const BandCounts counts = check_equal(damaged);
    CHECK(counts.bands + counts.odd == 0);
  }
}

TEST_CASE("an interval that ends early or late, or is empty, is judged by libjpeg") {
  const Octets file = encode_jpeg(photo());
  const std::vector<std::size_t> begins = intervals(file);
  BandShape parts;
  parts.least_bytes = 100;
  parts.most_bytes = 500;  // less than an interval
  for (const BandShape& shape : {BandShape{}, parts}) {
    for (const std::size_t number : {0, 1, 9, 17}) {
      const std::size_t begin = begins[number], end = begins[number + 1] - 2;
      CAPTURE(number);
      CHECK(check_equal(spliced(file, end, {0x55}), shape).odd == 1);
      CHECK(check_equal(spliced(file, end, {0x55, 0x55, 0x55, 0x55}), shape).odd == 1);
      CHECK(check_equal(without(file, end - 3, 3), shape).odd == 1);
      CHECK(check_equal(without(file, begin, end - begin), shape).odd == 1);
      CHECK(check_equal(spliced(file, (begin + end) / 2, {0xFF, 0, 0xFF, 0, 0xFF, 0}), shape).odd ==
            1);
    }
    // The last one's end is the image's.
    CHECK(check_equal(without(file, file.size() - 5, 3), shape).odd == 1);
  }
  CHECK(check_equal(spliced(file, file.size() - 2, {0x55})).odd == 0);
}

TEST_CASE("the bits that make an interval's last byte whole may be any") {
  const Octets file = encode_jpeg(photo());
  const std::vector<std::size_t> begins = intervals(file);
  JpegDecoder theirs(DecodeLimits{}, EntropyBackend::libjpeg, PixelBackend::libjpeg);
  const Outcome expected = outcome(theirs, file, {});
  int padded = 0;
  for (std::size_t i = 1; i < begins.size(); ++i) {
    Octets other = file;
    other[begins[i] - 3] ^= 1;
    if (!(outcome(theirs, other, {}) == expected)) continue;  // a bit of the last block
    ++padded;
    CHECK(check_equal(other).odd == 0);
  }
  CHECK(padded > 5);
}

TEST_CASE("random damage to a file with restarts is judged by libjpeg") {
  const unsigned seed = std::random_device{}();
  MESSAGE("seed " << seed);
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::uint64_t odd = 0, bands = 0;
  for (int round = 0; round < 100; ++round) {
    JpegForm form;
    form.width = 150;
    form.height = 130;
    form.restart_interval = 1 + static_cast<int>(random() % 30);
    form.seed = random();
    Octets file = encode_jpeg(form);
    const std::size_t scan = intervals(file).front();
    for (unsigned changes = 1 + random() % 3; changes > 0; --changes) {
      file[scan + random() % (file.size() - scan)] = static_cast<std::uint8_t>(random());
    }
    BandShape shape;
    shape.least_scan = 1;
    shape.streams = 1 + static_cast<int>(random() % decode::most_streams);
    shape.least_bytes = 1 + random() % 300;
    shape.most_bytes = 1 + random() % 5000;
    shape.most_blocks = 1 + random() % 400;
    CAPTURE(round);
    const BandCounts counts = check_equal(file, shape);
    odd += counts.odd;
    bands += counts.bands;
  }
  CHECK(odd > 20);
  CHECK(bands > 100);
}

}  // namespace
}  // namespace ringfeed
