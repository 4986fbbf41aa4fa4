#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "decode/image_end.h"
#include "support/encode.h"

using ringfeed::decode::image_end;
using namespace ringfeed::testing;

namespace {

std::size_t end_of(const Octets& file) { return image_end(std::as_bytes(std::span(file))); }

Octets followed_by(Octets file, std::string_view more) {
  file.insert(file.end(), more.begin(), more.end());
  return file;
}

/// The end is found in the whole file, whatever follows, and in no part of it.
void check_end(const Octets& file) {
  CHECK(end_of(file) == file.size());
  CHECK(end_of(followed_by(file, "a video\xFF\xD9 IEND")) == file.size());
  Octets twice = file;
  twice.insert(twice.end(), file.begin(), file.end());
  CHECK(end_of(twice) == file.size());
  for (std::size_t size = 0; size < file.size(); ++size) {
    REQUIRE(end_of(Octets(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size))) == 0);
  }
}

}  // namespace

TEST_CASE("the end of a JPEG is its EOI, however many scans it has") {
  for (const bool progressive : {false, true}) {
    JpegForm form;
    form.width = 70;
    form.height = 50;
    form.progressive = progressive;
    check_end(encode_jpeg(form));
  }
}

TEST_CASE("an EOI in a segment, as of a thumbnail, is not the end") {
  JpegForm form;
  form.width = 40;
  form.height = 30;
  const Octets thumbnail = encode_jpeg(form);
  Octets file = encode_jpeg(form);
  Octets exif{0xFF, 0xE1, static_cast<std::uint8_t>((thumbnail.size() + 2) >> 8),
              static_cast<std::uint8_t>(thumbnail.size() + 2)};
  exif.insert(exif.end(), thumbnail.begin(), thumbnail.end());
  file.insert(file.begin() + 2, exif.begin(), exif.end());
  check_end(file);
}

TEST_CASE("the end of a PNG is its IEND") {
  PngForm form;
  form.width = 40;
  form.height = 30;
  check_end(encode_png(form).file);
}

TEST_CASE("markers that leave a doubt have no end") {
  JpegForm form;
  form.width = 40;
  form.height = 30;
  const Octets file = encode_jpeg(form);
  for (const int marker : {0x01, 0xC8, 0xD8, 0xDC, 0xDE, 0xF0}) {
    Octets odd = file;
    odd[odd.size() - 1] = static_cast<std::uint8_t>(marker);
    CHECK(end_of(followed_by(odd, "\xFF\xD9")) == 0);
  }
  CHECK(end_of({0xFF, 0xD8, 0xFF, 0xD9}) == 0);  // no scan
  CHECK(end_of({}) == 0);
  CHECK(end_of(followed_by({}, "GIF89a and more")) == 0);
}
