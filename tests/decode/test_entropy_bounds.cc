#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/entropy/band_decoder.h"
#include "decode/jpeg/entropy/lanes.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"
#include "support/guarded_memory.h"
#include "support/guarded_streams.h"
#include "support/own_backends.h"

namespace ringfeed {
namespace {

using decode::block_size;
using decode::Coefficient;
using decode::EntropyBackend;
using decode::HuffmanTable;
using decode::JpegDecoder;
using decode::PixelBackend;
using decode::PixelsSink;
using decode::Scan;
using decode::ScanBytes;
using decode::Stream;
using testing::encode_jpeg;
using testing::for_each_own_backend;
using testing::GuardedMemory;
using testing::GuardedStreams;
using testing::JpegForm;
using testing::Octets;

/// Tables of one kind of scan; the same for all of its `blocks_in_mcu` blocks.
struct Tables {
  HuffmanTable dc, ac;

  Scan scan() const {
    Scan scan;
    scan.blocks_in_mcu = 3;
    scan.dc.fill(&dc);
    scan.ac.fill(&ac);
    return scan;
  }
};

/// Codes of all lengths and values of all sizes, some codes unassigned.
Tables mixed_tables() {
  JHUFF_TBL dc{}, ac{};
  for (int length = 2; length <= 16; ++length) dc.bits[length] = 1;
  for (int i = 0; i < 16; ++i) dc.huffval[i] = static_cast<UINT8>(15 - i);
  for (int length = 2; length <= 16; ++length) ac.bits[length] = length < 9 ? 1 : 8;
  for (int i = 0; i < 256; ++i) ac.huffval[i] = static_cast<UINT8>(i * 37 + 1);
  Tables tables;
  REQUIRE(tables.dc.build(dc, true));
  REQUIRE(tables.ac.build(ac, false));
  return tables;
}

/// Zeros are then blocks of nothing but this symbol, with a code of this length.
Tables tables_of_one(int length, UINT8 symbol) {
  JHUFF_TBL table{};
  table.bits[length] = 1;
  table.huffval[0] = symbol;
  Tables tables;
  REQUIRE(tables.dc.build(table, true));
  REQUIRE(tables.ac.build(table, false));
  return tables;
}

TEST_CASE("streams read and write nothing beyond what is theirs, and the same by each backend") {
  std::mt19937 random(1);
  // The longest block that there is, 64 symbols of 31 bits, and the shortest, which leave no room.
  const Tables mixed = mixed_tables(), longest = tables_of_one(16, 15);
  const Tables shortest = tables_of_one(1, 0);
  GuardedStreams streams;
  for (std::size_t size = 1024; size < 1024 + 64; ++size) {
    CAPTURE(size);
    const std::size_t whole = size + ScanBytes::padding;
    const GuardedMemory memory(whole);
    for (const Tables* const tables : {&mixed, &longest, &shortest}) {
      for (std::uint8_t* const bytes : {memory.first(), memory.last(whole)}) {
        std::memset(bytes, 0, whole);
        if (tables == &mixed)
          std::generate_n(bytes, size, [&] { return static_cast<std::uint8_t>(random()); });
        Scan scan = tables->scan();
        scan.bytes = bytes;
        std::vector<std::int64_t> expected;
        for_each_own_backend([&](EntropyBackend backend) {
          streams.begin(size);
          streams.run(scan, backend);
          if (backend == EntropyBackend::streams) expected = streams.result();
          CHECK(streams.result() == expected);
        });
      }
    }
  }
}

TEST_CASE("nothing beyond a file is read") {
  std::mt19937 random(1);
  const Tables tables = mixed_tables();
  for (std::size_t size = 1024; size < 1024 + 64; ++size) {
    CAPTURE(size);
    const GuardedMemory memory(size);
    std::uint8_t* const last = memory.last(size);
    for (std::uint8_t* const file : {memory.first(), last}) {
      std::generate_n(file, size, [&] { return static_cast<std::uint8_t>(random() % 255); });
      const std::array<std::uint8_t, 2> eoi{0xFF, 0xD9};
      // With an end and without.
      if (random() % 4 != 0) std::copy(eoi.begin(), eoi.end(), file + size - 2);
      for_each_own_backend([&](EntropyBackend backend) {
        decode::BandShape shape = decode::BandShape::of(backend);
        shape.least_scan = 1;
        shape.least_bytes = 1;
        shape.most_bytes = 1 + random() % 2000;
        decode::BandDecoder decoder(shape, backend);
        if (!decoder.open({file, size}, 0)) return;
        Scan scan = tables.scan();
        scan.blocks = 300;
        decoder.begin(scan, 300);
        for (int mcu = 0; mcu < 100 && decoder.next_mcu(nullptr); ++mcu) continue;
        CHECK(decoder.counts().joined + decoder.counts().dropped > 0);
      });
    }
  }
}

TEST_CASE("nothing is read behind a file's last byte, wherever it ends") {
  JpegForm form;
  form.width = 200;
  form.height = 150;
  for (const int interval : {0, 13}) {
    form.restart_interval = interval;
    const Octets file = encode_jpeg(form);
    for (std::size_t size = file.size() - 129; size <= file.size(); ++size) {
      CAPTURE(size);
      const GuardedMemory memory(size);
      std::uint8_t* const copy = memory.last(size);
      std::copy_n(file.begin(), size, copy);
      // An end mark keeps a shorter file with ringfeed's decoder.
      for (const bool has_end : {false, true}) {
        if (has_end) std::copy_n(file.end() - 2, 2, copy + size - 2);
        for_each_own_backend([&](EntropyBackend backend) {
          JpegDecoder decoder({}, backend, PixelBackend::vectors);
          PixelsSink sink;
          CHECK(decoder.decode({copy, size}, sink).has_value() == (has_end || size == file.size()));
        });
      }
    }
  }
}

}  // namespace
}  // namespace ringfeed
