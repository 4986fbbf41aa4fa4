#include "decode/file_format.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace ringfeed::decode {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view jpeg_start = "\xFF\xD8\xFF"sv;
constexpr std::string_view png_start = "\x89PNG\r\n\x1A\n"sv;

bool has_at(Bytes bytes, std::size_t at, std::string_view text) {
  return bytes.size() >= at + text.size() &&
         std::equal(text.begin(), text.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; });
}

struct Magic {
  std::size_t at;
  std::string_view bytes;
  std::string_view format;
  bool known_to_pillow = true;
};

constexpr std::array other_formats{
    Magic{0, "GIF8"sv, "GIF"},
    Magic{8, "WEBP"sv, "WebP"},
    Magic{0, "BM"sv, "BMP"},
    Magic{0, "II*\0"sv, "TIFF"},
    Magic{0, "MM\0*"sv, "TIFF"},
    Magic{4, "ftypavif"sv, "AVIF"},
    Magic{4, "ftyphei"sv, "HEIC", false},
    Magic{4, "ftyphev"sv, "HEIC", false},
    Magic{4, "ftypmif1"sv, "HEIF", false},
    Magic{0, "\0\0\0\x0CjP  "sv, "JPEG 2000"},
    Magic{0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    Magic{0, "\xFF\x0A"sv, "JPEG XL", false},
    Magic{0, "\0\0\0\x0CJXL "sv, "JPEG XL", false},
    Magic{0, "P3"sv, "PPM"},
    Magic{0, "P5"sv, "PGM"},
    Magic{0, "P6"sv, "PPM"},
    Magic{0, "\0\0\x01\0"sv, "ICO"},
    Magic{0, "qoif"sv, "QOI"},
    Magic{0, "<svg"sv, "SVG", false},
    Magic{0, "%PDF"sv, "PDF", false},
};

Failure unsupported(Bytes file) {
  if (file.empty()) return unidentified({true, "empty file; fetch it again or remove it"});
  // Too short to tell, though what there is looks right.
  for (std::string_view start : {jpeg_start, png_start}) {
    if (file.size() < start.size() && has_at(file, 0, start.substr(0, file.size()))) {
      return unidentified(truncated_file(start == jpeg_start ? "JPEG" : "PNG"));
    }
  }
  for (const Magic& magic : other_formats) {
    if (has_at(file, magic.at, magic.bytes)) {
      return {.detail = std::string(magic.format) +
                        " is not supported; convert the file to JPEG or PNG, or remove it",
              .unidentified = !magic.known_to_pillow};
    }
  }
  return unidentified({false, "neither a JPEG nor a PNG; convert the file or remove it"});
}

}  // namespace

tl::expected<Format, Failure> file_format(Bytes file) {
  if (has_at(file, 0, jpeg_start)) return Format::jpeg;
  if (has_at(file, 0, png_start)) return Format::png;
  return tl::unexpected(unsupported(file));
}

bool starts_as(Format format, Bytes file) noexcept {
  return has_at(file, 0, format == Format::jpeg ? jpeg_start : png_start);
}

bool ends_cleanly(std::span<const std::byte> tail) noexcept {
  // Searched for, not compared with the last bytes: many writers append something. An EXIF
  // thumbnail's EOI can fool this; the decoder's verdict follows.
  const Bytes bytes = to_bytes(tail);
  const auto found = [&](std::string_view text) {
    return std::search(bytes.begin(), bytes.end(), text.begin(), text.end(),
                       [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }) !=
           bytes.end();
  };
  return found("\xFF\xD9"sv) || found("IEND\xAE\x42\x60\x82"sv);
}

}  // namespace ringfeed::decode
