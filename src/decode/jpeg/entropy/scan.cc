#include "decode/jpeg/entropy/scan.h"

#include <cstring>

#include "base/scratch.h"

namespace ringfeed::decode {

bool unstuff(Bytes scan, AlignedVector<std::uint8_t>& bytes, std::size_t& size) {
  make_room(bytes, scan.size() + Scan::padding);
  const std::uint8_t* from = scan.data();
  const std::uint8_t* const end = from + scan.size();
  std::uint8_t* to = bytes.data();
  while (from < end) {
    const auto* const marker = static_cast<const std::uint8_t*>(
        std::memchr(from, 0xFF, static_cast<std::size_t>(end - from)));
    if (marker == nullptr || marker + 1 == end) return false;
    const bool stuffed = marker[1] == 0;
    const auto count = static_cast<std::size_t>(marker - from) + (stuffed ? 1 : 0);
    std::memcpy(to, from, count);
    to += count;
    from = marker + 2;
    if (stuffed) continue;
    size = static_cast<std::size_t>(to - bytes.data());
    std::memset(to, 0, Scan::padding);
    return marker[1] == JPEG_EOI;
  }
  return false;
}

}  // namespace ringfeed::decode
