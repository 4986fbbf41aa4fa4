#include <doctest/doctest.h>
#include <zlib.h>

#include <string_view>

#include "decode/jpeg/decoder.h"
#include "decode/pixels_sink.h"
#include "decode/png/decoder.h"

namespace ringfeed {
namespace {

struct GoldenCase {
  const char* damage;
  bool load_truncated;
  unsigned crc;  ///< of Pillow's pixels; 0 where Pillow refuses
  std::string_view hex;
};

const GoldenCase golden_cases[] = {
#include "golden_decode.inc"
};

std::vector<std::uint8_t> from_hex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(digit(hex[i]) << 4 | digit(hex[i + 1])));
  }
  return bytes;
}

TEST_CASE("small files, whole and damaged, get Pillow's pixels or its refusal") {
  for (const GoldenCase& golden : golden_cases) {
    CAPTURE(golden.damage);
    CAPTURE(golden.load_truncated);
    CAPTURE(golden.hex);
    const auto file = from_hex(golden.hex);
    DecodeLimits limits;
    limits.load_truncated = golden.load_truncated;
    decode::PixelsSink sink;
    bool done = false;
    if (file.size() > 8 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF) {
      done = decode::JpegDecoder(limits).decode(file, sink).has_value();
    } else if (file.size() > 8 && std::string_view(reinterpret_cast<const char*>(file.data()), 8) ==
                                      "\x89PNG\r\n\x1a\n") {
      done = decode::PngDecoder(limits).decode(file, sink).has_value();
    }
    const auto crc = crc32(0, sink.pixels.data(), static_cast<uInt>(sink.pixels.size()));
    CHECK((done ? crc : 0) == golden.crc);
  }
}

}  // namespace
}  // namespace ringfeed
