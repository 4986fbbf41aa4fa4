#include "decode/jpeg/entropy/band_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "decode/jpeg/entropy/lanes.h"

namespace ringfeed::decode {
namespace {

std::uint32_t blocks_between(const Coefficient* from, const Coefficient* to) {
  return static_cast<std::uint32_t>((to - from) / std::ptrdiff_t{block_size});
}

/// Of the bytes behind a band the rest of its last MCU is decoded; these must be there.
constexpr std::size_t margin = most_blocks_in_mcu * longest_block;

std::ptrdiff_t period_of(const Scan& scan) {
  const auto blocks = static_cast<std::size_t>(scan.blocks_in_mcu);
  std::size_t period = 1;
  const auto comes_again = [&] {
    for (std::size_t i = period; i < blocks; ++i) {
      if (scan.dc[i] != scan.dc[i - period] || scan.ac[i] != scan.ac[i - period]) return false;
    }
    return blocks % period == 0;
  };
  while (!comes_again()) ++period;
  return static_cast<std::ptrdiff_t>(period);
}

std::size_t window(const BandShape& shape) { return shape.most_bytes + margin; }

}  // namespace

BandShape BandShape::of(EntropyBackend backend) noexcept {
  BandShape shape;
  if (backend != EntropyBackend::lanes) return shape;
  shape.streams = most_lanes;
  shape.least_bytes = 1024;
  shape.most_blocks = 980;  // as much memory as 4 streams
  return shape;
}

std::size_t BandDecoder::memory_bound(const BandShape& shape) noexcept {
  const std::size_t blocks =
      static_cast<std::size_t>(shape.streams) * (shape.most_blocks + spare_blocks);
  return blocks * (block_size * sizeof(Coefficient) + sizeof(std::uint32_t)) +
         ScanBytes::memory_bound(window(shape));
}

bool BandDecoder::open(Bytes file, std::uint32_t restarts) {
  return file.size() >= shape_.least_scan && bytes_.open(file, window(shape_), restarts);
}

void BandDecoder::begin(const Scan& scan, std::uint32_t blocks) {
  scan_ = scan;
  scan_.bytes = bytes_.data();
  period_ = period_of(scan_);
  expected_ = std::min(blocks, scan.blocks);
  interval_ = scan.interval == 0 ? scan.blocks : std::min(scan.interval, scan.blocks);
  decoded_ = given_ = restart_ = 0;
  position_ = 0;
  density_ = 0;
  next_streams_ = shape_.streams;
  passed_ = 0;
  count_ = at_ = 0;
  const std::size_t room = static_cast<std::size_t>(shape_.streams) * region();
  if (starts_.size() < room) {
    blocks_.resize(room * block_size);
    starts_.resize(room);
  }
}

/// Null: there is none.
Coefficient* BandDecoder::take_block() {
  while (at_ == count_ || runs_[at_].first == runs_[at_].last) {
    if (at_ < count_) {
      ++at_;
    } else if (!decode_band()) {
      ++counts_.odd;
      return nullptr;
    }
  }
  Coefficient* const block = runs_[at_].first;
  runs_[at_].first += block_size;
  return block;
}

template <class Take>
bool BandDecoder::take_mcu(Take take) {
  if (given_ == restart_) {
    dc_ = {};
    restart_ += interval_;
  }
  const int count = scan_.blocks_in_mcu;
  const auto one = [&](int place, Coefficient* block) {
    // Its two lines lie in the second-level cache, or behind it: 5 % of an image's time.
    constexpr std::size_t ahead = 12 * block_size;
    __builtin_prefetch(block + ahead);
    __builtin_prefetch(block + ahead + block_size / 2);
    // Of 16 bits, as libjpeg's coefficients are: a damaged scan's sum may leave them.
    std::uint16_t& sum = dc_.data()[scan_.component.data()[place]];
    sum = static_cast<std::uint16_t>(sum + static_cast<std::uint16_t>(*block));
    take(place, block, static_cast<Coefficient>(sum));
  };
  if (at_ < count_ && runs_[at_].last - runs_[at_].first >= count * std::ptrdiff_t{block_size}) {
    Coefficient* block = runs_[at_].first;
    for (int place = 0; place < count; ++place, block += block_size) one(place, block);
    runs_[at_].first = block;
  } else {
    for (int place = 0; place < count; ++place) {
      Coefficient* const block = take_block();
      if (block == nullptr) return false;
      one(place, block);
    }
  }
  given_ += static_cast<std::uint32_t>(count);
  return true;
}

bool BandDecoder::next_blocks(const Coefficient** blocks) {
  return take_mcu([blocks](int place, Coefficient* block, Coefficient dc) {
    *block = dc;
    blocks[place] = block;
  });
}

bool BandDecoder::next_mcu(JBLOCKROW* blocks) {
  if (blocks == nullptr) return take_mcu([](int, const Coefficient*, Coefficient) {});
  return take_mcu([blocks](int place, const Coefficient* block, Coefficient dc) {
    Coefficient* const to = *blocks[place];
    std::memcpy(to, block, block_size * sizeof(Coefficient));
    *to = dc;
  });
}

void BandDecoder::begin_streams(std::uint64_t bytes, int count) {
  for (int i = 0; i < count; ++i) {
    const std::size_t first = static_cast<std::size_t>(i) * region();
    const auto place = [&](int number) {
      return bytes * static_cast<std::uint64_t>(number) / static_cast<std::uint64_t>(count) * 8;
    };
    Stream& stream = streams_[static_cast<std::size_t>(i)];
    stream = {};
    stream.position = i == 0 ? position_ : place(i);
    stream.limit = place(i + 1);
    stream.block = blocks_.data() + first * block_size;
    stream.end = stream.block + std::size_t{shape_.most_blocks} * block_size;
    stream.start = starts_.data() + first;
  }
}

/// One block more. False: there is no room, or no byte.
bool BandDecoder::step(Stream& stream) {
  if (stream.block == stream.end || stream.position >= end_) return false;
  stream.limit = 0;
  Stream* only = &stream;
  advance(scan_, &only, 1);
  return true;
}

/// Whether `stream`, going on, comes to where `other` has begun a block in the same state: `from`
/// is that block, and `other` goes on for it. Equal states go on equally. What tells a place in the
/// MCU from another is its tables; `other` may have had the wrong one of two that have the same.
bool BandDecoder::meets(Stream& stream, Stream& other, Coefficient*& from) {
  const auto first = static_cast<std::size_t>(&other - streams_.data()) * region();
  const std::uint32_t* const begin = starts_.data() + first;
  const std::uint32_t* start = begin;
  while (true) {
    while (start != other.start && *start < stream.position) ++start;
    if (start == other.start) return false;
    const auto number = start - begin;
    if (*start == stream.position && number % period_ == stream.in_mcu % period_) {
      from = blocks_.data() + (first + static_cast<std::size_t>(number)) * block_size;
      const auto blocks = static_cast<int>(blocks_between(from, other.block));
      other.in_mcu = (stream.in_mcu + blocks) % scan_.blocks_in_mcu;
      return true;
    }
    if (!step(stream)) return false;
  }
}

/// The stream's blocks from `from` on are the scan's. False if they cannot be.
bool BandDecoder::take(const Stream& stream, Coefficient* from) {
  if (stream.bad != nullptr && stream.bad >= from) return false;
  runs_[count_++] = {from, stream.block};
  decoded_ += blocks_between(from, stream.block);
  return true;
}

/// Blocks a byte: of all that is left or, if it had more, of the last part. In flat areas they are
/// many, and streams behind one that has no room left would run in vain.
double BandDecoder::density() const {
  const auto left = static_cast<double>(bytes_.ready() + bytes_.unread());
  return std::max(density_, (scan_.blocks - decoded_) / left);
}

/// For a part of so many bytes.
int BandDecoder::streams_for(std::uint64_t bytes) const {
  const auto by_room =
      static_cast<std::uint64_t>(2 * density() * static_cast<double>(bytes) / shape_.most_blocks);
  const std::uint64_t most = std::min(bytes, static_cast<std::uint64_t>(next_streams_));
  return static_cast<int>(
      std::clamp<std::uint64_t>(std::max(by_room, bytes / shape_.least_bytes), 1, most));
}

/// Streams that do not fall in step, as in some flat areas, leave all of a band to one of them: the
/// more they are the less it has room for.
void BandDecoder::choose_next_streams(int joined, int dropped) {
  constexpr int fewest = 4;
  next_streams_ = dropped > joined ? std::max(next_streams_ / 4, fewest) : 2 * next_streams_;
  next_streams_ = std::min(next_streams_, shape_.streams);
}

/// As many as the blocks to come take on average, and a little more, for two bands cost more than
/// one.
std::uint64_t BandDecoder::bytes_of_band(std::uint64_t ready, bool to_end) const {
  const std::uint64_t wanted = std::max(expected_, decoded_ + 1) - decoded_;
  const std::uint64_t blocks = scan_.blocks - decoded_;
  const std::uint64_t left = bytes_.ready() + bytes_.unread();
  const std::uint64_t by_need = left * wanted / blocks + left / 50 + 1;
  // Half of the room: one stream may have twice the average's blocks.
  const double room = 0.5 * shape_.most_blocks * next_streams_;
  const auto by_room = static_cast<std::uint64_t>(room / density()) + 1;
  const std::uint64_t readable = to_end ? ready : ready - margin;
  return std::min({std::uint64_t{shape_.most_bytes}, readable, by_need, by_room});
}

bool BandDecoder::decode_band() {
  bytes_.skip(position_ / 8, passed_);
  position_ %= 8;
  passed_ = 0;
  if (decoded_ >= scan_.blocks || bytes_.ready() == 0) return false;
  count_ = at_ = 0;
  const std::size_t intervals = intervals_of_band();
  const bool decoded = intervals > 0 ? decode_intervals(intervals) : decode_part();
  for (Stream& stream : streams_) counts_.escapes += std::exchange(stream.escapes, 0);
  return decoded;
}

bool BandDecoder::decode_part() {
  const bool to_end = bytes_.intervals() > 0;
  const std::uint64_t ready = bytes_.end_of(0);
  end_ = 8 * ready;
  if (ready == 0) return false;
  const std::uint32_t last = interval_end(decoded_);
  const std::uint64_t bytes = bytes_of_band(ready, to_end);
  const int count = streams_for(bytes);
  begin_streams(bytes, count);
  // What begins in the padding would decode as garbage. A block of the image that does is the next
  // band's.
  if (bytes == ready && to_end) {
    streams_[static_cast<std::size_t>(count - 1)].limit -= most_padding_bits;
    ++counts_.ended;
  }
  std::array<Stream*, most_streams> running;
  for (int i = 0; i < count; ++i)
    running[static_cast<std::size_t>(i)] = &streams_[static_cast<std::size_t>(i)];
  int still = in_lanes_ ? advance_lanes(scan_, running.data(), count) : count;
  for (; still > 0; --still) {
    const int stopped = advance(scan_, running.data(), still);
    std::copy(running.begin() + stopped + 1, running.begin() + still, running.begin() + stopped);
  }

  const std::uint32_t before = decoded_;
  int joined = 0;
  Stream* stream = streams_.data();
  Coefficient* from = blocks_.data();
  for (int i = 1; i < count; ++i) {
    Stream& other = streams_[static_cast<std::size_t>(i)];
    Coefficient* met = nullptr;
    if (!meets(*stream, other, met)) {
      ++counts_.dropped;
      continue;
    }
    ++joined;
    ++counts_.joined;
    if (!take(*stream, from)) return false;
    stream = &other;
    from = met;
  }
  ++counts_.bands;
  counts_.filled += stream->block == stream->end;
  choose_next_streams(joined, count - 1 - joined);
  // To the end of an MCU.
  stream->end += most_blocks_in_mcu * block_size;
  while (stream->in_mcu != 0) {
    if (!step(*stream)) return false;
  }
  if (!take(*stream, from)) return false;
  position_ = stream->position;
  density_ = 8.0 * (decoded_ - before) / static_cast<double>(position_);
  return end_part(last);
}

/// Whether the part that has been read may be followed by what is to come. `last`: the block behind
/// its interval.
bool BandDecoder::end_part(std::uint32_t last) {
  if (last == scan_.blocks) return position_ <= end_;
  if (decoded_ < last) return position_ < end_;
  if (decoded_ > last || bytes_.intervals() == 0 || position_ > end_ ||
      end_ - position_ > most_padding_bits) {
    return false;
  }
  position_ = end_;
  passed_ = 1;
  return true;
}

}  // namespace ringfeed::decode
