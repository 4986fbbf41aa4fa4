// A scan of any bytes under any tables and any shape of bands, with or without restarts: what
// BandDecoder gives is what the standard's own procedures give, decoded bit by bit. Where they meet
// what no encoder writes, it gives up. Between pages that nothing may touch, streams and lanes read
// the same of the same bytes.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "decode/jpeg/entropy/band_decoder.h"
#include "decode/jpeg/entropy/lanes.h"
#include "fuzz/attempt.h"
#include "support/guarded_streams.h"

namespace {

using namespace ringfeed::decode;
using ringfeed::fuzz::fail;

constexpr std::size_t longest_input = 8192;

/// A table that libjpeg would accept: at most `most` symbols, the codes not used up.
JHUFF_TBL make_table(FuzzedDataProvider& input, bool is_dc) {
  JHUFF_TBL table{};
  int left = 1, count = 0;
  const int most = is_dc ? 16 : 256;
  for (int length = 1; length <= 16; ++length) {
    left *= 2;
    const int here = std::min({input.ConsumeIntegralInRange(0, 20), left - 1, most - count});
    table.bits[length] = static_cast<UINT8>(std::max(here, 0));
    left -= table.bits[length];
    count += table.bits[length];
  }
  for (int i = 0; i < count; ++i) {
    table.huffval[i] =
        static_cast<UINT8>(input.ConsumeIntegral<std::uint8_t>() & (is_dc ? 15 : 255));
  }
  return table;
}

/// ITU-T T.81, F.2.2, word by word.
class Reference {
 public:
  explicit Reference(Bytes bytes) : bytes_(bytes) {}

  bool block(const JHUFF_TBL& dc, const JHUFF_TBL& ac, std::array<Coefficient, 64>& out) {
    out.fill(0);
    const int size = symbol(dc);
    if (size < 0) return false;
    out[0] = static_cast<Coefficient>(value(size));
    for (int k = 1; k < 64; ++k) {
      const int rs = symbol(ac);
      if (rs < 0) return false;
      const int run = rs >> 4, bits = rs & 15;
      if (bits == 0 && run != 15) break;
      k += run;
      if (k > 63) return false;
      const int coefficient = value(bits);
      if (bits != 0)
        out[zigzag_[static_cast<std::size_t>(k)]] = static_cast<Coefficient>(coefficient);
    }
    return at_ <= 8 * bytes_.size();
  }

  /// Bytes that have been begun, of those there are.
  std::size_t bytes_read() const { return std::min((at_ + 7) / 8, bytes_.size()); }

 private:
  int bit() {
    const std::size_t i = at_++;
    return i < 8 * bytes_.size() ? bytes_[i / 8] >> (7 - i % 8) & 1 : 0;
  }
  int symbol(const JHUFF_TBL& table) {
    int code = 0, first = 0, index = 0;
    for (int length = 1; length <= 16; ++length) {
      code = code << 1 | bit();
      const int count = table.bits[length];
      if (code - first < count) return table.huffval[index + code - first];
      index += count;
      first = (first + count) << 1;
    }
    return -1;
  }
  int value(int size) {
    int v = 0;
    for (int i = 0; i < size; ++i) v = v << 1 | bit();
    return size != 0 && v < 1 << (size - 1) ? v - (1 << size) + 1 : v;
  }

  static constexpr std::array<std::uint8_t, 64> zigzag_ = [] {
    std::array<std::uint8_t, 64> all{};
    int row = 0, column = 0;
    for (auto& place : all) {
      place = static_cast<std::uint8_t>(8 * row + column);
      const bool up = (row + column) % 2 == 0;
      if (up && column == 7)
        ++row;
      else if (up && row == 0)
        ++column;
      else if (up)
        --row, ++column;
      else if (row == 7)
        ++column;
      else if (column == 0)
        ++row;
      else
        ++row, --column;
    }
    return all;
  }();
  Bytes bytes_;
  std::size_t at_ = 0;
};

/// The tables of a scan, and how many blocks stand between restarts.
struct Form {
  std::array<JHUFF_TBL, 4> tables;
  std::array<std::size_t, most_blocks_in_mcu> dc{}, ac{};
  std::size_t blocks_in_mcu = 1, interval = 0;

  bool block(Reference& reference, std::size_t number, std::array<Coefficient, 64>& out) const {
    const std::size_t place = number % blocks_in_mcu;
    return reference.block(tables[dc[place]], tables[ac[place]], out);
  }
};

/// `bytes` as intervals between `restarts`, each as long as its blocks are; but for the one of
/// number `wrong`, which takes one byte more or less, and those that have no such blocks.
std::vector<Bytes> cut(Bytes bytes, const Form& form, std::size_t restarts, std::size_t wrong) {
  std::vector<Bytes> intervals;
  for (std::size_t i = 0; i < restarts; ++i) {
    Reference reference(bytes);
    std::array<Coefficient, 64> block;
    for (std::size_t k = 0; k < form.interval && form.block(reference, k, block);) ++k;
    std::size_t count = reference.bytes_read();
    if (i == wrong / 2) count = wrong % 2 == 0 ? count - (count > 0) : count + 1;
    count = std::min(count, bytes.size());
    intervals.push_back(bytes.first(count));
    bytes = bytes.subspan(count);
  }
  intervals.push_back(bytes);
  return intervals;
}

/// Blocks of one interval after the other.
class ReferenceScan {
 public:
  ReferenceScan(const std::vector<Bytes>& intervals, const Form& form)
      : intervals_(intervals), form_(form), reference_(intervals[0]) {}

  bool block(std::array<Coefficient, 64>& out) {
    if (number_ == form_.interval && at_ + 1 < intervals_.size()) {
      if (reference_.bytes_read() != intervals_[at_].size()) return false;
      reference_ = Reference(intervals_[++at_]);
      number_ = 0;
    }
    return form_.block(reference_, number_++, out);
  }
  /// Whether the block that came last is the first of an interval.
  bool has_restarted() const { return number_ == 1; }

 private:
  const std::vector<Bytes>& intervals_;
  const Form& form_;
  Reference reference_;
  std::size_t at_ = 0, number_ = 0;
};

std::vector<std::uint8_t> stuffed(const std::vector<Bytes>& intervals) {
  std::vector<std::uint8_t> file;
  for (std::size_t i = 0; i < intervals.size(); ++i) {
    if (i > 0) file.insert(file.end(), {0xFF, static_cast<std::uint8_t>(0xD0 + (i - 1) % 8)});
    for (const std::uint8_t byte : intervals[i]) {
      file.push_back(byte);
      if (byte == 0xFF) file.push_back(0);
    }
  }
  file.insert(file.end(), {0xFF, 0xD9});
  return file;
}

/// A scan, and what it is to be read with.
struct Input {
  const std::vector<std::uint8_t>& file;
  const std::vector<Bytes>& intervals;
  const Form& form;
  const Scan& scan;
  std::uint32_t expected, mcus;
};

void check(const Input& in, const BandShape& shape, EntropyBackend backend) {
  BandDecoder decoder(shape, backend);
  if (!decoder.open(in.file, static_cast<std::uint32_t>(in.intervals.size() - 1)))
    fail("stuffed bytes are refused");
  decoder.begin(in.scan, in.expected);
  ReferenceScan reference(in.intervals, in.form);
  std::array<std::uint16_t, 4> sums{};
  for (std::uint32_t mcu = 0; mcu < in.mcus; ++mcu) {
    JBLOCK got[most_blocks_in_mcu];
    JBLOCKROW to[most_blocks_in_mcu];
    for (std::size_t i = 0; i < most_blocks_in_mcu; ++i) to[i] = got + i;
    std::array<Coefficient, 64> block;
    if (!decoder.next_mcu(to)) {
      ringfeed::fuzz::reached(backend).add(decoder.counts(), false);
      // What comes is odd, or ends before the image does.
      const std::size_t left = (in.mcus - mcu) * in.form.blocks_in_mcu + in.file.size() * 8;
      for (std::size_t i = 0; i < left; ++i) {
        if (!reference.block(block)) return;
      }
      fail("a scan without fault is given up");
    }
    for (std::size_t i = 0; i < in.form.blocks_in_mcu; ++i) {
      if (!reference.block(block)) fail("what no encoder writes passed");
      if (reference.has_restarted()) sums = {};
      std::uint16_t& sum = sums[in.scan.component[i]];
      sum = static_cast<std::uint16_t>(sum + static_cast<std::uint16_t>(block[0]));
      block[0] = static_cast<Coefficient>(sum);
      if (!std::equal(block.begin(), block.end(), got[i])) {
        fail(std::string(to_string(backend)) + ": MCU " + std::to_string(mcu) + " differs");
      }
    }
  }
  ringfeed::fuzz::reached(backend).add(decoder.counts(), true);
}

void check_guarded(Scan scan, const std::vector<std::uint8_t>& bytes) {
  static ringfeed::testing::GuardedStreams streams;
  static const ringfeed::testing::GuardedMemory memory(longest_input + ScanBytes::padding);
  if (bytes.size() > longest_input) return;
  std::uint8_t* const last = memory.last(bytes.size() + ScanBytes::padding);
  std::copy(bytes.begin(), bytes.end(), last);
  std::fill_n(last + bytes.size(), ScanBytes::padding, std::uint8_t{0});
  scan.bytes = last;
  streams.begin(bytes.size());
  streams.run(scan, EntropyBackend::streams);
  if (!has_lanes()) return;
  const std::vector<std::int64_t> expected = streams.result();
  streams.begin(bytes.size());
  streams.run(scan, EntropyBackend::lanes);
  if (streams.result() != expected) fail("lanes differ from streams");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  BandShape shape;
  shape.least_scan = 1;
  shape.streams = input.ConsumeIntegralInRange(1, most_streams);
  shape.least_bytes = input.ConsumeIntegralInRange<std::size_t>(1, 64);
  shape.most_bytes = input.ConsumeIntegralInRange<std::size_t>(1, 4096);
  shape.most_blocks = input.ConsumeIntegralInRange<std::uint32_t>(1, 300);
  Form form;
  form.tables = {make_table(input, true), make_table(input, true), make_table(input, false),
                 make_table(input, false)};
  std::array<HuffmanTable, 4> tables;
  for (std::size_t i = 0; i < 4; ++i) {
    if (!tables[i].build(form.tables[i], i < 2)) fail("a table is refused");
  }
  Scan scan;
  scan.blocks_in_mcu = input.ConsumeIntegralInRange(1, static_cast<int>(most_blocks_in_mcu));
  form.blocks_in_mcu = static_cast<std::size_t>(scan.blocks_in_mcu);
  for (std::size_t i = 0; i < most_blocks_in_mcu; ++i) {
    form.dc[i] = input.ConsumeBool();
    form.ac[i] = 2 + input.ConsumeBool();
    scan.dc[i] = &tables[form.dc[i]];
    scan.ac[i] = &tables[form.ac[i]];
    scan.component[i] = input.ConsumeIntegralInRange<std::uint8_t>(0, 3);
  }
  const auto mcus = input.ConsumeIntegralInRange<std::uint32_t>(1, 2000);
  const auto expected = input.ConsumeIntegralInRange<std::uint32_t>(0, 3000);
  const auto interval =
      input.ConsumeBool() ? input.ConsumeIntegralInRange<std::uint32_t>(1, 60) : 0;
  const std::size_t restarts = interval == 0 ? 0 : (mcus - 1) / interval;
  const std::size_t wrong = input.ConsumeIntegral<std::uint8_t>();
  scan.blocks = mcus * static_cast<std::uint32_t>(scan.blocks_in_mcu);
  scan.interval = interval * static_cast<std::uint32_t>(scan.blocks_in_mcu);
  form.interval = scan.interval;
  const std::vector<std::uint8_t> bytes = input.ConsumeRemainingBytes<std::uint8_t>();
  const std::vector<Bytes> intervals = cut(bytes, form, restarts, wrong);
  const std::vector<std::uint8_t> file = stuffed(intervals);

  const Input in{file, intervals, form, scan, expected, mcus};
  check(in, shape, EntropyBackend::streams);
  if (has_lanes()) check(in, shape, EntropyBackend::lanes);
  check_guarded(scan, bytes);
  return 0;
}
