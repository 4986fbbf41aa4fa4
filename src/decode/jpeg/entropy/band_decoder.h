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
  std::uint64_t joined = 0;   ///< streams that the one before came to
  std::uint64_t dropped = 0;  ///< streams that it did not
  std::uint64_t filled = 0;   ///< bands that ended because a stream had no room left
  std::uint64_t ended = 0;    ///< bands that run into the padding in front of EOI
  std::uint64_t odd = 0;      ///< scans that hold what no encoder writes, or end early
};

/// The coefficients of a scan, MCU by MCU. Decodes a band at a time: streams begin at places
/// spread over it, and each goes on from its end until it stands where the next began a block, in
/// the same state. From there on that one's blocks are the scan's. The blocks of a band stay in the
/// second-level cache, and bound the memory.
class BandDecoder {
 public:
  explicit BandDecoder(const BandShape& shape = {},
                       EntropyBackend backend = EntropyBackend::streams)
      : shape_(shape), in_lanes_(backend == EntropyBackend::lanes) {}

  /// `file` from the scan's first byte on. False where ScanBytes cannot be opened, or the scan is
  /// small.
  bool open(Bytes file);
  /// After open(). `scan` without its bytes; `blocks`: that will be asked for, as far as is known.
  void begin(const Scan& scan, std::uint32_t blocks);

  /// Each of the next MCU's blocks goes to its row of `blocks`; null: they are passed over. False:
  /// the scan holds what no encoder writes, or ends; nothing more can be asked for.
  bool next_mcu(JBLOCKROW* blocks);

  /// Instead, block by block: the next one, which has this place in its MCU, where it lies. Null:
  /// as above. It stays until another band is decoded: until ready() more have been asked for.
  const Coefficient* next_block(int place);
  std::uint32_t ready() const noexcept { return decoded_ - given_; }

  const BandCounts& counts() const noexcept { return counts_; }

  /// The most bytes held.
  static std::size_t memory_bound(const BandShape& shape) noexcept;

 private:
  /// Blocks of one stream that are the scan's.
  struct Run {
    Coefficient* first = nullptr;
    const Coefficient* last = nullptr;
  };

  /// The next block, whose DC is `dc`.
  Coefficient* take_block(int place, std::uint16_t& dc);
  bool decode_band();
  std::uint64_t bytes_of_band(std::uint64_t ready) const;
  std::uint64_t room() const;
  void begin_streams(std::uint64_t bytes, int count);
  bool meets(Stream& stream, Stream& other, Coefficient*& from);
  bool step(Stream& stream);
  bool take(const Stream& stream, Coefficient* from);

  BandShape shape_;
  bool in_lanes_;
  BandCounts counts_;
  Scan scan_;
  ScanBytes bytes_;
  std::ptrdiff_t period_ = 1;       ///< blocks after which the tables come again
  std::uint32_t expected_ = 0;      ///< blocks that will be asked for
  std::uint32_t decoded_ = 0;       ///< blocks of the bands so far
  std::uint32_t given_ = 0;         ///< of them
  std::uint64_t position_ = 0;      ///< where the next band begins, in bits of the window
  std::uint64_t most_of_next_ = 0;  ///< bytes that the next band may take after the last one
  std::array<std::uint16_t, 4> dc_{};

  std::array<Run, most_streams> runs_{};
  std::size_t count_ = 0, at_ = 0;  ///< of the runs, and which is being given

  std::array<Stream, most_streams> streams_{};
  AlignedVector<Coefficient> blocks_;
  AlignedVector<std::uint32_t> starts_;
};

}  // namespace ringfeed::decode
