#include <doctest/doctest.h>

#include <array>
#include <csetjmp>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/entropy/entropy_decoder.h"
#include "decode/jpeg/entropy/preference.h"
#include "decode/jpeg/self_test.h"
#include "decode/jpeg/session.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"
#include "support/own_backends.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using decode::BandShape;
using decode::Bytes;
using decode::EntropyBackend;
using decode::EntropyDecoder;
using decode::JpegDecoder;
using decode::JpegSession;
using decode::PixelBackend;
using decode::PixelsSink;
using decode::Region;
using testing::encode_jpeg;
using testing::for_each_own_backend;
using testing::JpegForm;
using testing::Octets;
using testing::with_invalid_table;

/// The blocks of a component as they stand in the image, padding included.
struct Plane {
  std::vector<JCOEF> blocks;
  unsigned wide = 0;
};

/// libjpeg's own jpeg_read_coefficients.
std::vector<Plane> by_libjpeg(const Octets& file) {
  jpeg_decompress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&cinfo);
  jpeg_mem_src(&cinfo, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&cinfo, TRUE);
  jvirt_barray_ptr* arrays = jpeg_read_coefficients(&cinfo);
  std::vector<Plane> planes;
  for (int c = 0; c < cinfo.num_components; ++c) {
    const jpeg_component_info& component = cinfo.comp_info[c];
    Plane plane;
    plane.wide = component.width_in_blocks;
    for (JDIMENSION y = 0; y < component.height_in_blocks; ++y) {
      JBLOCKARRAY rows = cinfo.mem->access_virt_barray(reinterpret_cast<j_common_ptr>(&cinfo),
                                                       arrays[c], y, 1, FALSE);
      const JCOEF* row = rows[0][0];
      plane.blocks.insert(plane.blocks.end(), row, row + std::size_t{plane.wide} * DCTSIZE2);
    }
    planes.push_back(std::move(plane));
  }
  jpeg_destroy_decompress(&cinfo);
  return planes;
}

/// EntropyDecoder's, laid out alike; empty where it does not decode the file.
std::vector<Plane> by_ringfeed(const Octets& file, EntropyDecoder& decoder) {
  JpegSession session(file, false, 100);
  if (setjmp(session.on_error)) return {};
  session.open();
  jpeg_decompress_struct& cinfo = session.cinfo;
  jpeg_read_header(&cinfo, TRUE);
  jpeg_start_decompress(&cinfo);
  const Bytes scan{cinfo.src->next_input_byte, cinfo.src->bytes_in_buffer};
  if (!decoder.begin(cinfo, scan, static_cast<int>(cinfo.image_height))) return {};
  static std::vector<Plane> planes;
  planes.assign(static_cast<std::size_t>(cinfo.num_components), {});
  for (std::size_t c = 0; c < planes.size(); ++c) {
    const jpeg_component_info& component = cinfo.comp_info[c];
    planes[c].wide = component.width_in_blocks;
    planes[c].blocks.resize(std::size_t{component.width_in_blocks} * component.height_in_blocks *
                            DCTSIZE2);
  }
  static std::array<JBLOCK, decode::most_blocks_in_mcu> mcu;
  std::array<JBLOCKROW, decode::most_blocks_in_mcu> rows;
  for (std::size_t i = 0; i < mcu.size(); ++i) rows[i] = &mcu[i];
  for (JDIMENSION y = 0; y < cinfo.MCU_rows_in_scan; ++y) {
    for (JDIMENSION x = 0; x < cinfo.MCUs_per_row; ++x) {
      if (!decoder.next_mcu(rows.data())) return {};
      std::size_t i = 0;
      for (int c = 0; c < cinfo.comps_in_scan; ++c) {
        const jpeg_component_info& component = *cinfo.cur_comp_info[c];
        Plane& plane = planes[static_cast<std::size_t>(component.component_index)];
        for (int v = 0; v < component.MCU_height; ++v) {
          for (int h = 0; h < component.MCU_width; ++h, ++i) {
            const auto column =
                x * static_cast<unsigned>(component.MCU_width) + static_cast<unsigned>(h);
            const auto row =
                y * static_cast<unsigned>(component.MCU_height) + static_cast<unsigned>(v);
            if (column >= component.width_in_blocks || row >= component.height_in_blocks) continue;
            std::memcpy(plane.blocks.data() + (std::size_t{row} * plane.wide + column) * DCTSIZE2,
                        mcu[i], sizeof(JBLOCK));
          }
        }
      }
    }
  }
  return planes;
}

/// Each coefficient is libjpeg's, and nothing has been found odd.
void check_equal(const Octets& file, EntropyDecoder& decoder) {
  const std::vector<Plane> expected = by_libjpeg(file), got = by_ringfeed(file, decoder);
  REQUIRE(got.size() == expected.size());
  for (std::size_t c = 0; c < got.size(); ++c) REQUIRE(got[c].blocks == expected[c].blocks);
  REQUIRE(decoder.counts().odd == 0);
}

BandShape random_shape(std::mt19937& random) {
  const auto within = [&](unsigned low, unsigned high) {
    return low + random() % (high - low + 1);
  };
  BandShape shape;
  shape.least_scan = 1;
  shape.streams = static_cast<int>(within(1, decode::most_streams));
  shape.least_bytes = within(1, 200);
  shape.most_bytes = within(1, 5000);
  shape.most_blocks = within(1, 400);
  return shape;
}

TEST_CASE("coefficients are libjpeg's, however a scan is cut up, and none is handed back") {
  const unsigned seed = std::random_device{}();
  MESSAGE("seed " << seed);
  CAPTURE(seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 60; ++round) {
    JpegForm form;
    form.width = 1 + static_cast<int>(random() % 300);
    form.height = 1 + static_cast<int>(random() % 200);
    form.components = std::array{1, 3, 3, 3, 4}[random() % 5];
    form.horizontal = 1 + static_cast<int>(random() % 2);
    form.vertical = 1 + static_cast<int>(random() % 2);
    form.quality = 10 + static_cast<int>(random() % 91);
    form.optimize = random() % 2 == 0;
    form.noise = std::array{0, 17, 17, 120}[random() % 4];
    form.restart_interval = std::array{0, 0, 1, 40}[random() % 4];
    if (form.restart_interval > 1) form.restart_interval = 1 + static_cast<int>(random() % 200);
    form.seed = random();
    const Octets file = encode_jpeg(form);
    const BandShape shape = random_shape(random);
    CAPTURE(form.width);
    CAPTURE(form.height);
    CAPTURE(form.components);
    CAPTURE(form.quality);
    CAPTURE(form.noise);
    CAPTURE(form.optimize);
    CAPTURE(form.restart_interval);
    CAPTURE(shape.streams);
    CAPTURE(shape.least_bytes);
    CAPTURE(shape.most_bytes);
    CAPTURE(shape.most_blocks);
    for_each_own_backend([&](EntropyBackend backend) {
      EntropyDecoder decoder(shape, backend);
      check_equal(file, decoder);
    });
  }
}

TEST_CASE("every instruction set gives the same coefficients") {
  JpegForm form;
  form.width = 300;
  form.height = 200;
  const Octets file = encode_jpeg(form);
  for (int streams = 1; streams <= decode::most_streams; ++streams) {
    testing::for_each_target([&](const std::string& target) {
      CAPTURE(target);
      BandShape shape;
      shape.streams = streams;
      shape.least_bytes = 300;
      EntropyDecoder decoder(shape);
      check_equal(file, decoder);
    });
  }
}

TEST_CASE("streams are joined, dropped and filled where the band is long enough") {
  JpegForm form;
  form.width = 400;
  form.height = 300;
  const Octets file = encode_jpeg(form);
  for_each_own_backend([&](EntropyBackend backend) {
    BandShape shape = BandShape::of(backend);
    shape.least_bytes = 500;
    EntropyDecoder decoder(shape, backend);
    REQUIRE(!by_ringfeed(file, decoder).empty());
    CHECK(decoder.counts().joined == static_cast<unsigned>(shape.streams) - 1);
    CHECK(decoder.counts().bands == 1);
    CHECK(decoder.counts().ended == 1);
    shape.least_bytes = 1;
    shape.most_bytes = 20;  // shorter than it takes to fall in step
    EntropyDecoder shortest(shape, backend);
    REQUIRE(!by_ringfeed(file, shortest).empty());
    CHECK(shortest.counts().dropped > 100);
  });
}

TEST_CASE("a stream that has no room left ends the band, and is no oddity") {
  JpegForm form;
  form.width = 400;
  form.height = 304;
  form.noise = 0;
  form.flat_rows = 152;  // the first streams find many blocks, the last ones few
  const Octets file = encode_jpeg(form);
  for_each_own_backend([&](EntropyBackend backend) {
    BandShape shape = BandShape::of(backend);
    shape.least_bytes = 200;
    shape.most_blocks = 2800U / static_cast<unsigned>(shape.streams);
    EntropyDecoder decoder(shape, backend);
    check_equal(file, decoder);
    CHECK(decoder.counts().filled > 0);
    CHECK(decoder.counts().odd == 0);
  });
}

TEST_CASE("few bands of a smooth region end because a stream has no room left") {
  JpegForm form;
  form.width = 400;
  form.height = 608;
  form.quality = 95;
  form.noise = 120;
  form.quiet_rows = 500;
  BandShape shape;
  shape.least_bytes = 200;
  shape.most_blocks = 150;
  EntropyDecoder decoder(shape);
  check_equal(encode_jpeg(form), decoder);
  CHECK(decoder.counts().bands > 10);
  CHECK(5 * decoder.counts().filled < decoder.counts().bands);
}

TEST_CASE("flat rows with noise below leave few streams in vain, and few bands without room") {
  JpegForm form;
  form.width = 1600;
  form.height = 1600;
  form.noise = 0;
  form.flat_rows = 800;
  const Octets file = encode_jpeg(form);
  for_each_own_backend([&](EntropyBackend backend) {
    EntropyDecoder decoder(BandShape::of(backend), backend);
    check_equal(file, decoder);
    if (backend == EntropyBackend::streams) CHECK(decoder.counts().filled <= 2);
    CHECK(decoder.counts().dropped < decoder.counts().joined);
  });
}

TEST_CASE("streams are joined whatever their place in the MCU where all blocks have one table") {
  JpegForm form;
  form.width = 400;
  form.height = 300;
  for (const int components : {3, 4}) {
    form.components = components;
    form.rgb = components == 3;
    form.horizontal = form.vertical = 1;
    const Octets file = encode_jpeg(form);
    for_each_own_backend([&](EntropyBackend backend) {
      const BandShape shape = BandShape::of(backend);
      EntropyDecoder decoder(shape, backend);
      check_equal(file, decoder);
      CHECK(decoder.counts().joined == static_cast<unsigned>(shape.streams) - 1);
    });
  }
}

TEST_CASE("streams are taken on AMD, and on other CPUs what is measured faster") {
  using decode::CpuMaker;
  const auto choice = [](CpuMaker maker, bool has, bool pay) {
    return decode::preferred(maker, has, [=] { return pay; }).backend;
  };
  for (const bool pay : {false, true}) {
    CHECK(choice(CpuMaker::amd, true, pay) == EntropyBackend::streams);
    CHECK(choice(CpuMaker::other, false, pay) == EntropyBackend::streams);
  }
  CHECK(choice(CpuMaker::other, true, true) == EntropyBackend::lanes);
  CHECK(choice(CpuMaker::other, true, false) == EntropyBackend::streams);
}

TEST_CASE("each of ringfeed's own passes its test of pictures, and can be timed in one") {
  for_each_own_backend([](EntropyBackend backend) {
    CHECK(decode::passes_self_test(backend, PixelBackend::libjpeg));
    CHECK(decode::passes_self_test(backend, PixelBackend::vectors));
  });
  if (decode::has_lanes()) static_cast<void>(decode::lanes_pay());
}

TEST_CASE("more lanes take no more memory than streams") {
  using decode::BandDecoder;
  const BandShape lanes = BandShape::of(EntropyBackend::lanes);
  CHECK(lanes.streams == decode::most_lanes);
  CHECK(BandDecoder::memory_bound(lanes) <=
        BandDecoder::memory_bound(BandShape::of(EntropyBackend::streams)));
}

TEST_CASE("a decoder begins each scan anew") {
  JpegForm form;
  form.width = 200;
  form.height = 150;
  for_each_own_backend([&](EntropyBackend backend) {
    EntropyDecoder decoder(BandShape::of(backend), backend);
    for (int round = 0; round < 4; ++round) {
      form.seed = static_cast<std::uint32_t>(round);
      form.components = round % 2 == 0 ? 3 : 1;
      const Octets file = encode_jpeg(form);
      check_equal(file, decoder);
    }
  });
}

/// Verdict and pixels of either decoder.
struct Outcome {
  std::string failure;
  Octets pixels;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome(JpegDecoder& decoder, const Octets& file) {
  PixelsSink sink;
  const auto result = decoder.decode(file, sink);
  if (!result) return {result.error().detail, {}};
  return {"", std::move(sink.pixels)};
}

/// All decode `file` alike. How many scans each of ringfeed's handed back.
std::uint64_t handed_back(const Octets& file, const BandShape& shape = {}) {
  JpegDecoder theirs(DecodeLimits{}, EntropyBackend::libjpeg);
  const Outcome expected = outcome(theirs, file);
  std::uint64_t odd = 0;
  for_each_own_backend([&](EntropyBackend backend) {
    JpegDecoder ours(DecodeLimits{}, backend, PixelBackend::libjpeg, shape);
    CHECK(outcome(ours, file) == expected);
    JpegDecoder pixels(DecodeLimits{}, backend, PixelBackend::vectors, shape);
    CHECK(outcome(pixels, file) == expected);
    CHECK(pixels.entropy_counts().odd <= ours.entropy_counts().odd);
    if (backend == EntropyBackend::streams) odd = ours.entropy_counts().odd;
    CHECK(ours.entropy_counts().odd == odd);
  });
  return odd;
}

std::size_t marker_at(const Octets& file, std::uint8_t marker) {
  for (std::size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xFF && file[i + 1] == marker) return i;
  }
  return file.size();
}

Octets spliced(Octets file, std::size_t at, std::initializer_list<std::uint8_t> bytes) {
  file.insert(file.begin() + static_cast<std::ptrdiff_t>(at), bytes);
  return file;
}

TEST_CASE("damage is judged by libjpeg, and the rows that came before it are not given twice") {
  const unsigned seed = std::random_device{}();
  MESSAGE("seed " << seed);
  CAPTURE(seed);
  std::mt19937 random(seed);
  std::uint64_t odd = 0;
  for (int round = 0; round < 300; ++round) {
    JpegForm form;
    form.width = 150;
    form.height = 130;
    form.optimize = random() % 2 == 0;
    form.seed = random();
    Octets file = encode_jpeg(form);
    const std::size_t scan = marker_at(file, 0xDA) + 14;
    for (unsigned changes = 1 + random() % 3; changes > 0; --changes) {
      file[scan + random() % (file.size() - scan)] = static_cast<std::uint8_t>(random());
    }
    CAPTURE(round);
    odd += handed_back(file, random_shape(random));
  }
  CHECK(odd > 20);
}

TEST_CASE("what is odd about a scan's bytes is libjpeg's, and what is not is decoded") {
  JpegForm form;
  form.width = 200;
  form.height = 150;
  const Octets file = encode_jpeg(form);
  const std::size_t middle = marker_at(file, 0xDA) + (file.size() - marker_at(file, 0xDA)) / 2;
  const std::size_t stuffed = marker_at(file, 0x00), end = file.size() - 2;
  REQUIRE(stuffed < end);
  CHECK(handed_back(file) == 0);
  // Not opened at all.
  CHECK(handed_back(spliced(file, stuffed, {0xFF})) == 0);        // a fill byte
  CHECK(handed_back(spliced(file, middle, {0xFF, 0xD0})) == 0);   // a restart nobody announced
  CHECK(handed_back(Octets(file.begin(), file.end() - 2)) == 0);  // no end
  // Read, and given back.
  CHECK(handed_back(spliced(file, middle, {0xFF, 0xD9})) == 1);                 // an end too early
  CHECK(handed_back(spliced(file, middle, {0xFF, 0, 0xFF, 0, 0xFF, 0})) == 1);  // no code
  for (std::ptrdiff_t less = 1; less < 4; ++less) {  // within the last block
    Octets cut = file;
    cut.erase(cut.end() - 2 - less, cut.end() - 2);
    CHECK(handed_back(cut) == 1);
  }
  // Bytes behind the last block may be taken for blocks.
  CHECK(handed_back(spliced(file, end, {0, 0, 0})) <= 1);
}

TEST_CASE("the last of several scans is not taken for the only one") {
  JpegForm form;
  form.width = form.height = 64;
  form.interleaved = false;
  // By the second the scan is long enough to be read, but for there being others.
  CHECK(handed_back(with_invalid_table(encode_jpeg(form), 1)) == 0);
  CHECK(handed_back(with_invalid_table(encode_jpeg(form), 5000)) == 0);
}

TEST_CASE("what is no Huffman table is refused") {
  decode::HuffmanTable table;
  JHUFF_TBL given{};
  given.bits[1] = 1;
  CHECK(table.build(given, true));
  given.huffval[0] = 16;
  CHECK(table.build(given, false));
  CHECK_FALSE(table.build(given, true));  // a DC difference of 16 bits
  given = {};
  given.bits[1] = 3;
  CHECK_FALSE(table.build(given, false));  // three codes of one bit
  given = {};
  given.bits[9] = 200;
  given.bits[16] = 57;
  CHECK_FALSE(table.build(given, false));  // 257 symbols
}

TEST_CASE("a symbol without an entry is read however short its code is") {
  for (std::uint32_t length = 4; length <= 16; ++length) {
    CAPTURE(length);
    JHUFF_TBL given{};
    given.bits[length] = 1;  // zeros alone
    given.huffval[0] = 15;   // a value of 15 bits
    decode::HuffmanTable table;
    REQUIRE(table.build(given, false));
    const bool has_entry = table.entries()[0].length_and_advance >> 8 != table.unknown;
    CHECK(has_entry == (length == 4));
    if (has_entry) continue;
    const auto read = [&](std::uint64_t bits) {
      return table.long_symbol(bits << (64 - 15) >> length, false);
    };
    CHECK(read(0x5A5A).length == length + 15);
    CHECK(read(0x5A5A).advance == 1);
    CHECK(read(0x5A5A).assigned);
    CHECK(static_cast<int>(read(0x5A5A).value) == 0x5A5A);
    CHECK(static_cast<int>(read(0x1234).value) == 0x1234 - 0x7FFF);
    CHECK_FALSE(table.long_symbol(~std::uint64_t{0}, false).assigned);
  }
}

TEST_CASE("a part of a damaged file is judged alike") {
  JpegForm form;
  form.width = 300;
  form.height = 250;
  Octets file = encode_jpeg(form);
  const std::size_t scan = marker_at(file, 0xDA) + 14;
  file[scan + (file.size() - scan) / 2] ^= 0x24;
  JpegDecoder theirs(DecodeLimits{}, EntropyBackend::libjpeg);
  for_each_own_backend([&](EntropyBackend backend) {
    JpegDecoder ours(DecodeLimits{}, backend);
    for (int top = 0; top < 250; top += 31) {
      PixelsSink expected([&](int, int) { return Region{top, 40, 250 - top, 200}; });
      PixelsSink got([&](int, int) { return Region{top, 40, 250 - top, 200}; });
      CHECK(theirs.decode(file, expected).has_value() == ours.decode(file, got).has_value());
      CHECK(got.pixels == expected.pixels);
    }
  });
}

TEST_CASE("a small scan is libjpeg's: its tables would cost more than they save") {
  JpegForm form;
  form.width = form.height = 32;
  const Octets file = encode_jpeg(form);
  REQUIRE(file.size() < 4096);
  EntropyDecoder decoder;
  CHECK(by_ringfeed(file, decoder).empty());
  CHECK(handed_back(file) == 0);
  CHECK(decoder.counts().bands == 0);
}

TEST_CASE("a symbol without a value ends the block, as with libjpeg") {
  JpegForm form;
  form.components = 1;
  form.width = 200;
  form.height = 150;
  Octets file = encode_jpeg(form);
  // The AC table's symbols follow its 16 counts; in the standard's, 0 is the fourth.
  std::size_t table = 0;
  for (std::size_t i = 0; i + 4 < file.size(); ++i) {
    if (file[i] == 0xFF && file[i + 1] == 0xC4 && file[i + 4] == 0x10) table = i + 5 + 16;
  }
  REQUIRE(table != 0);
  REQUIRE(file[table + 3] == 0);
  file[table + 3] = 0x50;
  CHECK(handed_back(file) == 0);
}

TEST_CASE("a run beyond the block's end is libjpeg's") {
  JpegForm form;
  form.components = 1;
  form.width = 200;
  form.height = 150;
  Octets file = encode_jpeg(form);
  for (std::size_t i = 0; i + 4 < file.size(); ++i) {
    if (file[i] == 0xFF && file[i + 1] == 0xC4 && file[i + 4] == 0x10) {
      REQUIRE(file[i + 5 + 16] == 1);  // run 0, size 1
      file[i + 5 + 16] = 0xE1;
      break;
    }
  }
  CHECK(handed_back(file) == 1);
}

}  // namespace
}  // namespace ringfeed
