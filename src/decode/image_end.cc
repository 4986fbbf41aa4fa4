#include "decode/image_end.h"

#include <cstring>
#include <string_view>

#include "decode/bytes.h"
#include "decode/file_format.h"

namespace ringfeed::decode {
namespace {

enum : int { sof0 = 0xC0, jpg = 0xC8, rst0 = 0xD0, soi = 0xD8, eoi = 0xD9, sos = 0xDA };
enum : int { dnl = 0xDC, dhp = 0xDE, app0 = 0xE0, jpg0 = 0xF0, com = 0xFE };

/// Markers with a segment that stand in files without damage.
bool usual(int marker) noexcept {
  return (marker >= sof0 && marker < rst0 && marker != jpg) ||
         (marker >= sos && marker < dhp && marker != dnl) || (marker >= app0 && marker < jpg0) ||
         marker == com;
}

/// The marker behind the entropy-coded bytes at `at`; the file's size where there is none.
std::size_t behind_scan(Bytes file, std::size_t at) noexcept {
  while (at < file.size()) {
    const void* found = std::memchr(&file[at], 0xFF, file.size() - at);
    if (found == nullptr) break;
    at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - file.data());
    if (at + 1 >= file.size()) break;
    const int next = file[at + 1];
    if (next != 0 && (next < rst0 || next >= soi)) return at;
    at += 2;
  }
  return file.size();
}

std::size_t jpeg_end(Bytes file) noexcept {
  bool scanned = false;
  for (std::size_t at = 2;;) {
    if (at >= file.size() || file[at] != 0xFF) return 0;
    while (at < file.size() && file[at] == 0xFF) ++at;
    if (at >= file.size()) return 0;
    const int marker = file[at++];
    if (marker == eoi) return scanned ? at : 0;
    if (!usual(marker) || file.size() - at < 2) return 0;
    const std::size_t length = std::size_t{file[at]} << 8 | file[at + 1];
    if (length < 2 || length > file.size() - at) return 0;
    at += length;
    if (marker == sos) {
      scanned = true;
      at = behind_scan(file, at);
    }
  }
}

std::size_t png_end(Bytes file) noexcept {
  bool animated = false, data = false;
  for (std::size_t at = 8;;) {
    constexpr std::size_t around = 12;  // length, name and checksum
    if (file.size() - at < around) return 0;
    const std::size_t length = std::size_t{file[at]} << 24 | std::size_t{file[at + 1]} << 16 |
                               std::size_t{file[at + 2]} << 8 | file[at + 3];
    const std::string_view name(reinterpret_cast<const char*>(&file[at + 4]), 4);
    if (name == "fcTL" && animated && data) return at + 8;
    if (length > file.size() - at - around) return 0;
    at += around + length;
    if (name == "IEND") return at;
    animated = animated || name == "acTL";
    data = data || name == "IDAT";
  }
}

}  // namespace

std::size_t image_end(std::span<const std::byte> beginning) noexcept {
  const Bytes file = to_bytes(beginning);
  if (starts_as(Format::jpeg, file)) return jpeg_end(file);
  return starts_as(Format::png, file) ? png_end(file) : 0;
}

}  // namespace ringfeed::decode
