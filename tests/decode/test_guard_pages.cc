// Memory that nothing may be read or written behind: a mistake ends the program.
#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "decode/jpeg/decoder.h"
#include "decode/jpeg/entropy/streams.h"
#include "decode/pixels_sink.h"
#include "support/encode.h"
#include "support/targets.h"

namespace ringfeed {
namespace {

using decode::Coefficient;
using decode::EntropyBackend;
using decode::HuffmanTable;
using decode::JpegDecoder;
using decode::PixelBackend;
using decode::PixelsSink;
using testing::encode_jpeg;
using testing::JpegForm;
using testing::Octets;

/// Bytes with a page behind them that cannot be touched.
class Guarded {
 public:
  explicit Guarded(std::size_t size) : size_(size) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t whole = (size + page - 1) / page * page;
    mapped_ = whole + page;
    memory_ = static_cast<std::uint8_t*>(
        mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
    REQUIRE(mprotect(memory_ + whole, page, PROT_NONE) == 0);
    data_ = memory_ + whole - size;
  }
  ~Guarded() { munmap(memory_, mapped_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  std::uint8_t* data() const { return data_; }
  decode::Bytes bytes() const { return {data_, size_}; }

 private:
  std::size_t size_, mapped_ = 0;
  std::uint8_t *memory_ = nullptr, *data_ = nullptr;
};

TEST_CASE("nothing is read behind a file's last byte, wherever it ends") {
  JpegForm form;
  form.width = 200;
  form.height = 150;
  for (const int interval : {0, 13}) {
    form.restart_interval = interval;
    const Octets file = encode_jpeg(form);
    for (std::size_t less = 0; less < 130; ++less) {
      const std::size_t size = file.size() - less;
      Guarded copy(size);
      std::copy_n(file.begin(), size, copy.data());
      // An end mark keeps a shorter file with ringfeed's decoder.
      for (const bool has_end : {false, true}) {
        if (has_end) std::copy_n(file.end() - 2, 2, copy.data() + size - 2);
        JpegDecoder decoder(DecodeLimits{}, EntropyBackend::streams, PixelBackend::vectors, {});
        PixelsSink sink;
        CHECK(decoder.decode(copy.bytes(), sink).has_value() == (has_end || less == 0));
      }
    }
  }
}

/// The standard's tables, as any file of libjpeg's has them.
std::array<HuffmanTable, 2> standard_tables() {
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  cinfo.in_color_space = JCS_GRAYSCALE;
  cinfo.input_components = 1;
  jpeg_set_defaults(&cinfo);
  std::array<HuffmanTable, 2> tables;
  REQUIRE(tables[0].build(*cinfo.dc_huff_tbl_ptrs[0], true));
  REQUIRE(tables[1].build(*cinfo.ac_huff_tbl_ptrs[0], false));
  jpeg_destroy_compress(&cinfo);
  return tables;
}

TEST_CASE("streams touch no more memory than they are said to") {
  constexpr std::uint32_t most = 40;
  constexpr std::size_t bytes = 300, behind = decode::longest_block + 8;
  const std::array<HuffmanTable, 2> tables = standard_tables();
  const std::size_t block = decode::block_size * sizeof(Coefficient);
  std::mt19937 random(1);
  testing::for_each_target([&](const std::string& target) {
    CAPTURE(target);
    for (int round = 0; round < 400; ++round) {
      Guarded scan_bytes(bytes + behind), blocks((most + 1) * block), starts(most * 4);
      std::generate_n(scan_bytes.data(), bytes + behind,
                      [&] { return static_cast<std::uint8_t>(random()); });
      decode::Scan scan;
      scan.bytes = scan_bytes.data();
      scan.blocks_in_mcu = 1;
      scan.dc[0] = tables.data();
      scan.ac[0] = &tables[1];
      decode::Stream stream;
      stream.position = random() % (8 * bytes);
      stream.limit = 8 * bytes;
      stream.end = reinterpret_cast<Coefficient*>(blocks.data() + most * block);
      stream.block = stream.end - (1 + random() % most) * decode::block_size;
      stream.start = reinterpret_cast<std::uint32_t*>(starts.data());
      decode::Stream* only = &stream;
      CHECK(decode::advance(scan, &only, 1) == 0);
      CHECK((stream.block == stream.end || stream.position >= stream.limit));
    }
  });
}

}  // namespace
}  // namespace ringfeed
