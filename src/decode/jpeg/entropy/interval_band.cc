// Bands that hold whole intervals between restarts: where each begins, and how many blocks it has,
// is known.
#include <algorithm>

#include "decode/jpeg/entropy/band_decoder.h"
#include "decode/jpeg/entropy/lanes.h"

namespace ringfeed::decode {
namespace {

/// In front of a block.
bool has_stopped(const Stream& stream) {
  return stream.next == 0 && (stream.block == stream.end || stream.position >= stream.limit);
}

}  // namespace

/// The block in front of which the next restart comes.
std::uint32_t BandDecoder::interval_end(std::uint32_t block) const {
  const std::uint32_t left = interval_ - block % interval_;
  return block + std::min(left, scan_.blocks - block);
}

bool BandDecoder::pass_over(std::uint32_t mcus) {
  const auto in_mcu = static_cast<std::uint32_t>(scan_.blocks_in_mcu);
  while (mcus > 0) {
    const std::uint32_t intervals = mcus * in_mcu / interval_;
    if (ready() == 0 && decoded_ % interval_ == 0 && intervals > 0) {
      skip_intervals(intervals);
      mcus -= intervals * interval_ / in_mcu;
    } else {
      if (!next_mcu(nullptr)) return false;
      --mcus;
    }
  }
  return true;
}

/// From where one begins, and what has been decoded is used up.
void BandDecoder::skip_intervals(std::uint32_t count) {
  decoded_ = given_ = restart_ = decoded_ + count * interval_;
  while (count > 0) {
    bytes_.skip(position_ / 8, passed_);
    passed_ = std::min<std::size_t>(count, bytes_.intervals());
    position_ = 8 * (passed_ == 0 ? bytes_.ready() : bytes_.end_of(passed_ - 1));
    count -= static_cast<std::uint32_t>(passed_);
  }
}

/// As many as there is room for; of the first some blocks may have been decoded. 0: the band is
/// better read as a part of a single one.
std::size_t BandDecoder::intervals_of_band() const {
  if (interval_ == scan_.blocks) return 0;
  const std::uint64_t room =
      std::uint64_t{shape_.most_blocks} * static_cast<std::uint64_t>(shape_.streams);
  const std::uint32_t wanted = std::max(expected_, decoded_ + 1);
  std::size_t count = 0;
  for (std::uint32_t at = decoded_; count < bytes_.intervals() && at < wanted; ++count) {
    at = interval_end(at);
    if (bytes_.end_of(count) > shape_.most_bytes || at - decoded_ > room) break;
  }
  const bool is_short = count == 1 && bytes_.end_of(0) < 2 * shape_.least_bytes;
  return count > 1 || is_short ? count : 0;
}

/// To each of `count` streams intervals that follow each other, of about as many bytes, and memory
/// for their blocks.
void BandDecoder::share_out(std::size_t intervals, std::size_t count) {
  const std::size_t bytes = bytes_.end_of(intervals - 1);
  std::size_t at = 0, begin = 0;
  std::uint32_t block = decoded_;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t first = block - decoded_ + i * spare_blocks;
    Stream& stream = streams_[i];
    stream = {};
    stream.block = stream.end = blocks_.data() + first * block_size;
    stream.start = starts_.data() + first;
    Share& share = shares_[i];
    share = {at, at, block};
    const std::size_t place = bytes * (i + 1) / count;
    while (at < intervals && (i + 1 == count || begin + bytes_.end_of(at) < 2 * place)) {
      begin = bytes_.end_of(at++);
      block = interval_end(block);
    }
    share.end = at;
    runs_[i] = {stream.block, stream.block + std::size_t{block - share.block} * block_size};
  }
}

void BandDecoder::begin_interval(Stream& stream, Share& share) {
  const std::uint32_t behind = interval_end(share.block);
  stream.position = share.next == 0 ? position_ : 8 * bytes_.end_of(share.next - 1);
  stream.limit = 8 * bytes_.end_of(share.next);
  stream.end = stream.block + std::size_t{behind - share.block} * block_size;
  share.block = behind;
  ++share.next;
}

/// Whether the stream has read its interval: all blocks, and all bits but what makes the last byte
/// whole. Behind the image's last block anything may stand.
bool BandDecoder::has_ended(const Stream& stream, const Share& share) const {
  return stream.bad == nullptr && stream.block == stream.end && stream.position <= stream.limit &&
         (share.block == scan_.blocks || stream.limit - stream.position <= most_padding_bits);
}

bool BandDecoder::decode_intervals(std::size_t intervals) {
  const std::size_t bytes = bytes_.end_of(intervals - 1);
  const std::size_t most =
      std::min({static_cast<std::size_t>(shape_.streams), shares_.size(), intervals});
  const std::size_t count = std::clamp<std::size_t>(bytes / shape_.least_bytes, 1, most);
  share_out(intervals, count);
  std::array<Stream*, most_streams> running;
  while (true) {
    int still = 0;
    for (std::size_t i = 0; i < count; ++i) {
      Stream& stream = streams_[i];
      Share& share = shares_[i];
      if (has_stopped(stream)) {
        if (!has_ended(stream, share)) return false;
        if (share.next == share.end) continue;
        begin_interval(stream, share);
      }
      running[static_cast<std::size_t>(still++)] = &stream;
    }
    if (still == 0) break;
    if (!in_lanes_ || advance_lanes(scan_, running.data(), still) == still) {
      advance(scan_, running.data(), still);
    }
  }
  count_ = count;
  decoded_ = shares_[count - 1].block;
  position_ = 8 * bytes;
  passed_ = intervals;
  ++counts_.bands;
  counts_.intervals += intervals;
  return true;
}

}  // namespace ringfeed::decode
