#include "decode/jpeg/markers.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace ringfeed::decode {
namespace {

enum : int {
  sof0 = 0xC0,
  sof2 = 0xC2,
  sof3 = 0xC3,
  sof9 = 0xC9,
  sof10 = 0xCA,
  dht = 0xC4,
  jpg = 0xC8,
  dac = 0xCC,
  rst0 = 0xD0,
  eoi = 0xD9
};
enum : int { sos = 0xDA, dqt = 0xDB, dnl = 0xDC, dri = 0xDD, dhp = 0xDE, exp = 0xDF };
enum : int { app0 = 0xE0, app2 = 0xE2, app13 = 0xED, app14 = 0xEE, jpg0 = 0xF0, com = 0xFE };

bool starts_with(Bytes bytes, std::string_view prefix) {
  return bytes.size() >= prefix.size() &&
         std::memcmp(bytes.data(), prefix.data(), prefix.size()) == 0;
}

int u16(Bytes bytes, std::size_t at) { return bytes[at] << 8 | bytes[at + 1]; }

/// Markers without a length: restarts, SOI, EOI, and those reserved for extensions.
bool stands_alone(int marker) {
  return marker == jpg || (marker >= rst0 && marker <= eoi) || (marker >= jpg0 && marker < com);
}

bool is_frame(int marker) {
  return (marker >= sof0 && marker < rst0 && marker != dht && marker != jpg && marker != dac) ||
         marker == dhp;
}

bool quantization_tables_fit(Bytes segment) {
  while (!segment.empty()) {
    const std::size_t size = segment[0] >> 4 == 0 ? 65 : 129;
    if (segment.size() < size) return false;
    segment = segment.subspan(size);
  }
  return true;
}

/// Pillow indexes one byte past a Photoshop resource whose code is its last content.
bool photoshop_resources_fit(Bytes segment) {
  std::size_t at = 14;
  while (at < segment.size() && starts_with(segment.subspan(at), "8BIM")) {
    at += 6;
    if (at > segment.size()) return true;
    if (at == segment.size()) return false;
    at += 1 + std::size_t{segment[at]};
    at += at & 1;
    if (at + 4 > segment.size()) return true;
    at += 4 + (static_cast<std::size_t>(u16(segment, at)) << 16 |
               static_cast<std::size_t>(u16(segment, at + 2)));
    at += at & 1;
  }
  return true;
}

/// One pass over the segments; each check returns what is wrong, or null.
class HeaderWalk {
 public:
  const char* segment(int marker, Bytes content) {
    if (is_frame(marker)) {
      header.lossless = marker == sof3;
      header.arithmetic = marker >= sof9;
      return frame(content);
    }
    switch (marker) {
      case dqt: return quantization_tables_fit(content) ? nullptr : "bad quantization table marker";
      case app0:
        return starts_with(content, "JFIF") && content.size() < 7 ? "short JFIF segment" : nullptr;
      case app2:
        if (starts_with(content, std::string_view("ICC_PROFILE\0", 12))) add_profile(content);
        return nullptr;
      case app13:
        return starts_with(content, std::string_view("Photoshop 3.0\0", 14)) &&
                       !photoshop_resources_fit(content)
                   ? "bad Photoshop segment"
                   : nullptr;
      case app14:
        return starts_with(content, "Adobe") && content.size() < 7 ? "short Adobe segment"
                                                                   : nullptr;
      default: return nullptr;
    }
  }

  bool is_empty() const { return header.height == 0 || header.width == 0; }

  JpegHeader header;

 private:
  const char* frame(Bytes content) {
    if (content.size() < 6 || content.size() % 3 != 0) return "bad frame header";
    if (content[0] != 8) return "only 8 bits per sample are supported; convert it";
    header.height = u16(content, 1);
    header.width = u16(content, 3);
    header.components = content[5];
    if (header.components != 1 && header.components != 3 && header.components != 4) {
      return "neither 1, 3 nor 4 colour components";
    }
    if (first_profile_.data() != nullptr && first_profile_.size() < 14) {
      return "short ICC profile segment";
    }
    first_profile_ = {};
    return nullptr;
  }

  /// Pillow sorts the profile's pieces when the frame header comes and reads byte 13 of the first.
  void add_profile(Bytes content) {
    if (first_profile_.data() == nullptr ||
        std::lexicographical_compare(content.begin(), content.end(), first_profile_.begin(),
                                     first_profile_.end())) {
      first_profile_ = content;
    }
  }

  Bytes first_profile_;
};

}  // namespace

tl::expected<JpegHeader, Failure> read_jpeg_header(Bytes file) {
  HeaderWalk walk;
  std::size_t at = 2;
  while (true) {
    // To the next marker: junk before it and stuffed zeros are skipped, 0xFF may repeat.
    while (at < file.size() && file[at] != 0xFF) ++at;
    while (at < file.size() && file[at] == 0xFF) ++at;
    if (at >= file.size())
      return tl::unexpected(walk.is_empty() ? unidentified(truncated_file("JPEG"))
                                            : truncated_file("JPEG"));
    const int marker = file[at++];
    if (marker == 0 || stands_alone(marker)) continue;
    if (marker < sof0 || marker == 0xFF) {
      return tl::unexpected(unidentified(broken_file("JPEG", "no marker where one is due")));
    }
    if (file.size() - at < 2) return tl::unexpected(unidentified(truncated_file("JPEG")));
    const auto length = static_cast<std::size_t>(std::max(u16(file, at) - 2, 0));
    at += 2;
    if (file.size() - at < length) return tl::unexpected(truncated_file("JPEG"));
    if (const char* wrong = walk.segment(marker, file.subspan(at, length))) {
      return tl::unexpected(unidentified(broken_file("JPEG", wrong)));
    }
    at += length;
    if (marker == sos) break;
  }
  if (walk.is_empty()) {
    return tl::unexpected(unidentified(broken_file("JPEG", "no frame header, or an empty image")));
  }
  walk.header.scan = at;
  return walk.header;
}

bool begins_frame(int marker) noexcept {
  return (marker >= sof0 && marker <= sof2) || marker == sof9 || marker == sof10;
}

bool begins_eoi(const std::uint8_t* bytes) noexcept { return bytes[0] == 0xFF && bytes[1] == eoi; }

bool begins_restart(const std::uint8_t* bytes, std::uint32_t number) noexcept {
  return bytes[0] == 0xFF && bytes[1] == rst0 + number % 8;
}

bool scan_ends_in_eoi(Bytes scan) noexcept {
  const std::uint8_t* at = scan.data();
  const std::uint8_t* const end = at + scan.size();
  while (at < end) {
    at =
        static_cast<const std::uint8_t*>(std::memchr(at, 0xFF, static_cast<std::size_t>(end - at)));
    if (at == nullptr) return false;
    while (at < end && *at == 0xFF) ++at;
    if (at == end) return false;
    if (*at == eoi) return true;
    if (*at != 0 && (*at < rst0 || *at > rst0 + 7)) return false;
    ++at;
  }
  return false;
}

}  // namespace ringfeed::decode
