// For compare_pillow.py: decodes what comes in, sends the pixels back. Each request is four
// little-endian u32 (bytes, load_truncated, the corner in 1/65536 of the height and width) and
// the file; each reply six u32 (0 or 1 for failure, height, width, top, left, size) and the pixels
// of the region from that corner on, or the message.
#include <array>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "decode/jpeg/decoder.h"
#include "decode/pixels_sink.h"
#include "decode/png/decoder.h"

using namespace ringfeed;

namespace {

/// The region is the corner's rest of the image, one third less at the far sides.
decode::Region corner(int height, int width, std::uint32_t y, std::uint32_t x) {
  const int top = static_cast<int>((static_cast<std::uint64_t>(height) * y) >> 16);
  const int left = static_cast<int>((static_cast<std::uint64_t>(width) * x) >> 16);
  if (y == 0 && x == 0) return {0, 0, height, width};
  return {top, left, (height - top + 1) / 2, (width - left + 1) / 2};
}

}  // namespace

int main() {
  std::array<std::uint32_t, 4> request{};
  std::vector<std::uint8_t> file;
  while (std::fread(request.data(), 4, 4, stdin) == 4) {
    file.resize(request[0]);
    if (std::fread(file.data(), 1, file.size(), stdin) != file.size()) return 1;
    // An exact heap copy, so that a sanitizer sees one byte read too many.
    const std::vector<std::uint8_t> exact(file.begin(), file.end());
    DecodeLimits limits;
    limits.load_truncated = request[1] != 0;
    decode::PixelsSink sink([&](int h, int w) { return corner(h, w, request[2], request[3]); });
    const bool jpeg = exact.size() > 2 && exact[0] == 0xFF && exact[1] == 0xD8 && exact[2] == 0xFF;
    const bool png = exact.size() > 7 && exact[0] == 0x89 && exact[1] == 'P' && exact[2] == 'N' &&
                     exact[3] == 'G' && exact[4] == 13 && exact[5] == 10 && exact[6] == 26 &&
                     exact[7] == 10;
    tl::expected<void, decode::Failure> done =
        tl::unexpected(decode::Failure{false, "neither JPEG nor PNG"});
    if (jpeg) done = decode::JpegDecoder(limits).decode(exact, sink);
    if (png) done = decode::PngDecoder(limits).decode(exact, sink);
    const std::string message = done ? "" : done.error().detail;
    const std::span<const std::uint8_t> body =
        done ? std::span<const std::uint8_t>(sink.pixels)
             : std::span(reinterpret_cast<const std::uint8_t*>(message.data()), message.size());
    const std::uint32_t reply[] = {done ? 0u : 1u,
                                   static_cast<std::uint32_t>(sink.region.height),
                                   static_cast<std::uint32_t>(sink.region.width),
                                   static_cast<std::uint32_t>(sink.region.top),
                                   static_cast<std::uint32_t>(sink.region.left),
                                   static_cast<std::uint32_t>(body.size())};
    std::fwrite(reply, 4, 6, stdout);
    std::fwrite(body.data(), 1, body.size(), stdout);
    std::fflush(stdout);
  }
}
