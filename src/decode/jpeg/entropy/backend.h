#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringfeed::decode {

/// Whose code reads the bits of a JPEG's scan. The pixels do not depend on it.
enum class EntropyBackend : std::uint8_t {
  libjpeg,  ///< libjpeg's own
  streams,  ///< BandDecoder, whose streams take turns; whatever is odd about a file is libjpeg's
  lanes,    ///< the same, its streams in the lanes of AVX-512 vectors
};
std::string_view to_string(EntropyBackend backend) noexcept;

struct EntropyChoice {
  EntropyBackend backend = EntropyBackend::libjpeg;
  std::string why;
};

/// What this process decodes with, chosen once: what $RINGFEED_ENTROPY names, else what is faster
/// on this CPU (preference.h), unless it fails to decode pictures made for it as libjpeg does
/// (some 10 ms). Throws std::invalid_argument where $RINGFEED_ENTROPY names none, or one that
/// fails.
const EntropyChoice& entropy_choice();

}  // namespace ringfeed::decode
