#include <doctest/doctest.h>
#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "decode/inspect.h"
#include "support/encode.h"

namespace ringfeed {
namespace {

using testing::Octets;

bool is_sound(const Octets& file) {
  const auto found = decode::inspect(file);
  return found && found->sound;
}

/// Where the chunk of that name begins, with its length.
std::size_t chunk_at(const Octets& png, std::string_view name) {
  return static_cast<std::size_t>(std::search(png.begin(), png.end(), name.begin(), name.end()) -
                                  png.begin()) -
         4;
}

/// `png` with an empty chunk of that name before its first one called `before`.
Octets with_chunk(Octets png, std::string_view name, std::string_view before) {
  Octets chunk(12, 0);  // its length, its name, its checksum
  std::copy(name.begin(), name.end(), chunk.begin() + 4);
  const auto checksum = crc32(0, chunk.data() + 4, 4);
  for (std::size_t i = 0; i < 4; ++i) {
    chunk[8 + i] = static_cast<std::uint8_t>(checksum >> (24 - 8 * i));
  }
  png.insert(png.begin() + static_cast<std::ptrdiff_t>(chunk_at(png, before)), chunk.begin(),
             chunk.end());
  return png;
}

TEST_CASE("size and mode are told as Pillow tells them") {
  testing::JpegForm form;
  for (const auto& [components, mode] :
       {std::pair{1, "L"}, std::pair{3, "RGB"}, std::pair{4, "CMYK"}}) {
    form.components = components;
    const auto found = decode::inspect(testing::encode_jpeg(form));
    REQUIRE(found);
    CHECK(found->mode == mode);
    CHECK(found->width == form.width);
    CHECK(found->height == form.height);
  }
  struct Kind {
    int bit_depth, color_type;
    std::string_view mode;
  };
  for (const Kind& kind : {Kind{1, 0, "1"}, Kind{2, 0, "L"}, Kind{8, 0, "L"}, Kind{16, 0, "I;16"},
                           Kind{8, 2, "RGB"}, Kind{16, 2, "RGB"}, Kind{4, 3, "P"}, Kind{8, 4, "LA"},
                           Kind{16, 4, "RGBA"}, Kind{8, 6, "RGBA"}}) {
    testing::PngForm png;
    png.bit_depth = kind.bit_depth;
    png.color_type = kind.color_type;
    const auto found = decode::inspect(testing::encode_png(png).file);
    REQUIRE(found);
    CHECK(found->mode == kind.mode);
    CHECK(found->sound);
  }
  CHECK(!decode::inspect(Octets{'G', 'I', 'F', '8'}));
}

TEST_CASE("a JPEG is sound if one scan of Huffman codes runs into its end") {
  testing::JpegForm form;
  CHECK(is_sound(testing::encode_jpeg(form)));
  form.restart_interval = 2;
  CHECK(is_sound(testing::encode_jpeg(form)));
  form.progressive = true;
  CHECK(!is_sound(testing::encode_jpeg(form)));
  form.progressive = false;
  form.interleaved = false;
  CHECK(!is_sound(testing::encode_jpeg(form)));
  form.interleaved = true;
  form.arithmetic = true;
  CHECK(!is_sound(testing::encode_jpeg(form)));
}

TEST_CASE("a JPEG that is cut, has a stray marker, or lacks its tables is not sound") {
  const Octets file = testing::encode_jpeg({});
  for (const std::size_t cut : {std::size_t{1}, std::size_t{2}, file.size() / 2}) {
    CHECK(!is_sound(Octets(file.begin(), file.end() - static_cast<std::ptrdiff_t>(cut))));
  }
  Octets stray = file;
  stray[file.size() - 20] = 0xFF;
  stray[file.size() - 19] = 0xC4;
  CHECK(!is_sound(stray));
  Octets no_tables = file;
  for (std::size_t i = 0; i + 1 < no_tables.size(); ++i) {
    if (no_tables[i] == 0xFF && no_tables[i + 1] == 0xDB) no_tables[i + 1] = 0xFE;  // a comment
  }
  CHECK(!is_sound(no_tables));
  Octets longer = file;
  longer.resize(file.size() + 100);
  CHECK(is_sound(longer));
}

TEST_CASE("a PNG is sound if its data has right checksums and IEND follows it") {
  for (const bool interlaced : {false, true}) {
    testing::PngForm form;
    form.interlaced = interlaced;
    const Octets file = testing::encode_png(form).file;
    CHECK(is_sound(file));
    Octets damaged = file;
    damaged[chunk_at(file, "IDAT") + 12] ^= 1;
    CHECK(!is_sound(damaged));
    CHECK(!is_sound(Octets(file.begin(), file.end() - 1)));
    CHECK(!is_sound(Octets(file.begin(), file.end() - 12)));
    CHECK(!is_sound(with_chunk(file, "tEXt", "IEND")));
    CHECK(is_sound(with_chunk(file, "tEXt", "IDAT")));
  }
}

}  // namespace
}  // namespace ringfeed
