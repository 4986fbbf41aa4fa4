#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "ringfeed/error.h"

namespace ringfeed {

/// Counts and latencies of one stage since the loader was made.
struct StageStats {
  std::uint64_t count = 0;  ///< finished operations, failures included
  std::uint64_t failed = 0;
  std::uint64_t bytes = 0;  ///< encoded bytes read, or tensor bytes written
  double busy_seconds = 0;  ///< summed over threads
  double p50_us = 0, p90_us = 0, p99_us = 0, max_us = 0;
};

/// What holds the loader back, from where its decoders spend their time.
enum class Verdict : std::uint8_t { storage_bound, decode_bound, consumer_bound, order_bound };

/// A snapshot; Loader::stats() may be called from any thread at any time.
///
/// @code
/// const ringfeed::Stats stats;  // loader.stats()
/// std::cout << stats.verdict_line() << "; a file took " << stats.read.p50_us << " us\n";
/// @endcode
struct Stats {
  StageStats read;                     ///< open to last byte, one file
  StageStats decode;                   ///< decode, resize, normalise, one sample
  StageStats deliver;                  ///< consumer waiting inside next(), one batch
  std::uint64_t files_in_flight = 0;   ///< reads outstanding now
  std::uint64_t encoded_ready = 0;     ///< read and waiting for a place in an open batch
  std::uint64_t decode_queue = 0;      ///< waiting for a decoder
  std::uint64_t batches_ready = 0;     ///< complete and not yet taken
  std::uint64_t read_ahead_bytes = 0;  ///< the most that may be read and not decoded
  std::uint64_t read_ahead_bytes_peak = 0;
  std::uint64_t size_guess = 0;  ///< bytes a new read asks for
  std::uint64_t retries = 0;     ///< files opened again after an error: LoaderOptions::retries
  std::uint64_t skipped = 0;     ///< samples that their batches came without: OnError::skip
  std::uint64_t replaced = 0;    ///< samples that a substitute took the place of: OnError::replace
  std::uint64_t steals = 0;      ///< decode jobs taken from another worker's queue
  std::uint64_t reserve_waits = 0;  ///< images that waited for others to give memory back
  double reserve_seconds = 0;       ///< and how long, summed; decoders went on with usual images
  double starved_seconds = 0;       ///< decoders idle with no encoded sample to work on, summed
  double blocked_seconds = 0;    ///< decoders idle while a complete batch waited for the consumer
  double unordered_seconds = 0;  ///< decoders idle while a BatchSource had not told the order
  double wall_seconds = 0;       ///< time with an epoch running
  int workers = 0;
  int depth = 0;             ///< most files in flight at once
  int prefetch_factor = 0;   ///< decoded batches ahead, in all
  std::string reader;        ///< "ring" or "pool"
  std::string reader_note;   ///< why a fallback was taken; empty if none
  std::string entropy;       ///< reads JPEG scans: "streams", "lanes" or "libjpeg"
  std::string entropy_note;  ///< why
  std::string pixels;        ///< whose code makes their pixels: "vectors" (ringfeed's) or "libjpeg"
  std::string pixels_note;   ///< why

  Verdict verdict() const noexcept;
  /// One line for people: "decode-bound: decoders busy 97 % …", and what would help.
  std::string verdict_line(OptionNames names = field_name) const;
};

std::string to_string(Verdict verdict);

}  // namespace ringfeed
