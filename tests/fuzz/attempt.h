#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "decode/bytes.h"
#include "decode/failure.h"
#include "decode/jpeg/entropy/band_decoder.h"
#include "decode/jpeg/entropy/lanes.h"
#include "decode/pixels_sink.h"
#include "ringfeed/transform.h"

namespace ringfeed::fuzz {

/// What a decoder said of a file, and the rows it gave before.
struct Attempt {
  bool decoded = false;
  decode::Failure failure;
  decode::Region region;
  int height = 0, width = 0, rows = 0;
  std::vector<std::uint8_t> pixels;
};

template <class Decoder>
Attempt attempt(Decoder&& decoder, decode::Bytes file, decode::PixelsSink::Choose choose) {
  Attempt made;
  decode::PixelsSink sink(std::move(choose));
  const auto result = decoder.decode(file, sink);
  made.decoded = result.has_value();
  if (!made.decoded) made.failure = result.error();
  made.region = sink.region;
  made.height = sink.height;
  made.width = sink.width;
  made.rows = sink.rows;
  made.pixels = std::move(sink.pixels);
  return made;
}

inline decode::PixelsSink::Choose whole() {
  return [](int height, int width) { return decode::Region{0, 0, height, width}; };
}

/// The part that four numbers choose, whatever they are.
inline decode::PixelsSink::Choose part(const std::uint16_t (&numbers)[4]) {
  return [=](int height, int width) {
    decode::Region r;
    r.top = numbers[0] % height;
    r.left = numbers[1] % width;
    r.height = 1 + numbers[2] % (height - r.top);
    r.width = 1 + numbers[3] % (width - r.left);
    return r;
  };
}

/// What an entropy backend met in all executions, printed at the end: one that is handed back to
/// libjpeg proves little.
class Reached {
 public:
  explicit Reached(decode::EntropyBackend backend) : backend_(backend) {}
  ~Reached() {
    if (backend_ == decode::EntropyBackend::lanes && !decode::has_lanes()) return;
    std::fprintf(
        stderr,
        "reached by %s: %llu bands, %llu streams joined, %llu dropped, %llu bands filled, "
        "%llu run to the end, %llu intervals, %llu escapes, %llu scans odd, %llu decoded\n",
        std::string(to_string(backend_)).c_str(), print(sum_.bands), print(sum_.joined),
        print(sum_.dropped), print(sum_.filled), print(sum_.ended), print(sum_.intervals),
        print(sum_.escapes), print(sum_.odd), print(decoded_));
  }
  void add(const decode::BandCounts& counts, bool decoded) {
    sum_.bands += counts.bands;
    sum_.joined += counts.joined;
    sum_.dropped += counts.dropped;
    sum_.filled += counts.filled;
    sum_.ended += counts.ended;
    sum_.intervals += counts.intervals;
    sum_.escapes += counts.escapes;
    sum_.odd += counts.odd;
    decoded_ += decoded;
  }

 private:
  static unsigned long long print(std::uint64_t count) { return count; }
  const decode::EntropyBackend backend_;
  decode::BandCounts sum_;
  std::uint64_t decoded_ = 0;
};

/// The backend's own count of these executions.
inline Reached& reached(decode::EntropyBackend backend) {
  static Reached by_streams(decode::EntropyBackend::streams);
  static Reached by_lanes(decode::EntropyBackend::lanes);
  return backend == decode::EntropyBackend::lanes ? by_lanes : by_streams;
}

[[noreturn]] inline void fail(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::abort();
}

/// Both have the same verdict, and `part` has the pixels that `all` has there.
inline void must_agree(const Attempt& all, const Attempt& part, const std::string& which) {
  if (all.decoded != part.decoded || all.failure.detail != part.failure.detail ||
      all.failure.truncated != part.failure.truncated ||
      all.failure.unidentified != part.failure.unidentified) {
    fail(which + ": one says '" + all.failure.detail + "', the other '" + part.failure.detail +
         "'");
  }
  if (!all.decoded) return;
  const decode::Region& r = part.region;
  if (part.rows != r.height || all.rows != all.height) fail(which + ": rows are missing");
  const auto size = static_cast<std::size_t>(r.width) * 3;
  for (int y = 0; y < r.height; ++y) {
    const auto* const mine = part.pixels.data() + static_cast<std::size_t>(y) * size;
    const auto* const theirs = all.pixels.data() + (static_cast<std::size_t>(r.top + y) *
                                                        static_cast<std::size_t>(all.width) +
                                                    static_cast<std::size_t>(r.left)) *
                                                       3;
    if (!std::equal(mine, mine + size, theirs)) {
      fail(which + ": row " + std::to_string(r.top + y) + " differs");
    }
  }
}

/// Small enough for thousands of files a second.
inline DecodeLimits small_limits() {
  DecodeLimits limits;
  limits.max_pixels = 1 << 18;
  limits.max_decoder_bytes = std::size_t{8} << 20;
  limits.max_canvas_bytes = std::size_t{4} << 20;
  limits.max_scans = 20;
  return limits;
}

}  // namespace ringfeed::fuzz
