#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ringfeed::decode {

/// Whose code makes pixels of the coefficients that streams have read. They are the same.
enum class PixelBackend : std::uint8_t {
  libjpeg,  ///< libjpeg's own
  vectors,  ///< PixelStage; images that it does not know are libjpeg's
};
std::string_view to_string(PixelBackend backend) noexcept;

struct PixelChoice {
  PixelBackend backend = PixelBackend::libjpeg;
  std::string why;
};

/// What this process uses, chosen once: what $RINGFEED_PIXELS names, else vectors, unless they make
/// other pixels of pictures made for it than libjpeg does (some 15 ms) or libjpeg reads the scans.
/// Throws std::invalid_argument where $RINGFEED_PIXELS names none, or vectors that cannot be used.
const PixelChoice& pixel_choice();

}  // namespace ringfeed::decode
