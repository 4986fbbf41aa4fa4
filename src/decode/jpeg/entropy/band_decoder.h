#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/aligned_vector.h"
#include "decode/bytes.h"
#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/entropy/scan.h"
#include "decode/jpeg/entropy/scan_bytes.h"
#include "decode/jpeg/entropy/streams.h"

namespace ringfeed::decode {

/// How a scan is cut up.
struct BandShape {
  std::size_t least_scan = 4096;      ///< bytes; for fewer the tables cost more than they save
  int streams = 4;                    ///< in [1, most_streams]
  std::size_t least_bytes = 2048;     ///< that a stream is worth
  std::size_t most_bytes = 150'000;   ///< of a band
  std::uint32_t most_blocks = 4'000;  ///< that a stream decodes of a band

  /// The one that is fastest.
  static BandShape of(EntropyBackend backend) noexcept;
};

/// What has come about, for tests and statistics.
struct BandCounts {
  std::uint64_t bands = 0;
  std::uint64_t joined = 0;     ///< streams that the one before came to
  std::uint64_t dropped = 0;    ///< streams that it did not
  std::uint64_t filled = 0;     ///< bands that ended because a stream had no room left
  std::uint64_t ended = 0;      ///< bands that run into the padding in front of EOI
  std::uint64_t odd = 0;        ///< scans that hold what no encoder writes, or end early
  std::uint64_t intervals = 0;  ///< between restarts, read from where they are known to begin
  std::uint64_t escapes = 0;    ///< symbols that one look-up did not give, of turns alone
};

/// The coefficients of a scan, MCU by MCU. Decodes a band at a time: streams begin at places
/// spread over it, and each goes on from its end until it stands where the next began a block, in
/// the same state. From there on that one's blocks are the scan's. Where a band holds several
/// intervals between restarts, each stream has some of them instead, whose beginnings are known.
/// The blocks of a band stay in the second-level cache, and bound the memory.
class BandDecoder {
 public:
  explicit BandDecoder(const BandShape& shape = {},
                       EntropyBackend backend = EntropyBackend::streams)
      : shape_(shape), in_lanes_(backend == EntropyBackend::lanes) {}

  /// `file` from the scan's first byte on. False where ScanBytes cannot be opened, or the scan is
  /// small.
  bool open(Bytes file, std::uint32_t restarts);
  /// After open(). `scan` without its bytes; `blocks`: that will be asked for, as far as is known.
  void begin(const Scan& scan, std::uint32_t blocks);

  /// Each of the next MCU's blocks goes to its row of `blocks`; null: they are passed over. False:
  /// the scan holds what no encoder writes, or ends; nothing more can be asked for.
  bool next_mcu(JBLOCKROW* blocks);

  /// The next MCUs are passed over, whole intervals of them without being read: damage there would
  /// end at their restarts. False: as above.
  bool pass_over(std::uint32_t mcus);

  /// Instead, the next MCU's blocks where they lie. They stay until another band is decoded: until
  /// ready() more have been asked for. False: as above.
  bool next_blocks(const Coefficient** blocks);
  std::uint32_t ready() const noexcept { return decoded_ - given_; }

  const BandCounts& counts() const noexcept { return counts_; }

  /// The most bytes held.
  static std::size_t memory_bound(const BandShape& shape) noexcept;

 private:
  /// Blocks behind a stream's cap: the rest of an MCU, and one whose content is any.
  static constexpr std::size_t spare_blocks = most_blocks_in_mcu + 1;
  std::size_t region() const noexcept { return shape_.most_blocks + spare_blocks; }

  /// Blocks of one stream that are the scan's.
  struct Run {
    Coefficient* first = nullptr;
    const Coefficient* last = nullptr;
  };

  /// What a stream reads of a band of intervals: those from `next` on.
  struct Share {
    std::size_t next = 0, end = 0;
    std::uint32_t block = 0;  ///< of the image, where `next` begins
  };

  /// Calls take(place, block, dc) for each block of the next MCU.
  template <class Take>
  bool take_mcu(Take take);
  Coefficient* take_block();
  bool decode_band();
  std::size_t intervals_of_band() const;
  bool decode_intervals(std::size_t intervals);
  void share_out(std::size_t intervals, std::size_t count);
  void begin_interval(Stream& stream, Share& share);
  bool has_ended(const Stream& stream, const Share& share) const;
  std::uint32_t interval_end(std::uint32_t block) const;
  void skip_intervals(std::uint32_t count);

  bool decode_part();
  bool end_part(std::uint32_t last);
  std::uint64_t bytes_of_band(std::uint64_t ready, bool to_end) const;
  double density() const;
  int streams_for(std::uint64_t bytes) const;
  void choose_next_streams(int joined, int dropped);
  void begin_streams(std::uint64_t bytes, int count);
  bool meets(Stream& stream, Stream& other, Coefficient*& from);
  bool step(Stream& stream);
  bool take(const Stream& stream, Coefficient* from);

  BandShape shape_;
  bool in_lanes_;
  BandCounts counts_;
  Scan scan_;
  ScanBytes bytes_;
  std::ptrdiff_t period_ = 1;   ///< blocks after which the tables come again
  std::uint32_t expected_ = 0;  ///< blocks that will be asked for
  std::uint32_t decoded_ = 0;   ///< blocks of the bands so far
  std::uint32_t given_ = 0;     ///< of them
  std::uint64_t position_ = 0;  ///< where the next band begins, in bits of the window
  std::size_t passed_ = 0;      ///< intervals of the window in front of it
  std::uint64_t end_ = 0;       ///< of the band's interval as far as is ready, in bits
  std::uint32_t interval_ = 0;  ///< blocks from one restart to the next
  std::uint32_t restart_ = 0;   ///< the block in front of which DC sums begin anew
  int next_streams_ = 1;        ///< of the next part, at most
  double density_ = 0;          ///< of the last part: blocks a byte
  std::array<std::uint16_t, 4> dc_{};

  std::array<Run, most_streams> runs_{};
  std::size_t count_ = 0, at_ = 0;  ///< of the runs, and which is being given

  std::array<Stream, most_streams> streams_{};
  std::array<Share, most_streams> shares_{};
  AlignedVector<Coefficient> blocks_;
  AlignedVector<std::uint32_t> starts_;
};

}  // namespace ringfeed::decode
