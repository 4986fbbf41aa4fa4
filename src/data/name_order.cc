#include "data/name_order.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace ringfeed::data {
namespace {

bool continues(char c) noexcept { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

/// Takes one code point off the front, strictly as Python decodes: no overlong form, no encoded
/// surrogate, nothing past U+10FFFF.
char32_t next_code_point(std::string_view& rest) noexcept {
  const auto byte = [&rest](std::size_t i) { return static_cast<unsigned char>(rest[i]); };
  const unsigned char lead = byte(0);
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xc2 && lead < 0xe0 ? 2
                             : lead >= 0xe0 && lead < 0xf0 ? 3
                             : lead >= 0xf0 && lead < 0xf5 ? 4
                                                           : 0;
  constexpr std::array<char32_t, 5> lead_bits = {0, 0x7f, 0x1f, 0x0f, 0x07};
  constexpr std::array<char32_t, 5> smallest = {0, 0, 0x80, 0x800, 0x10000};
  bool valid = length > 0 && length <= rest.size() &&
               std::all_of(rest.begin() + 1, rest.begin() + length, continues);
  if (valid) {
    char32_t point = lead & lead_bits[length];
    for (std::size_t i = 1; i < length; ++i) point = point << 6 | (byte(i) & 0x3f);
    const bool surrogate = point >= 0xd800 && point < 0xe000;
    valid = point >= smallest[length] && point <= 0x10ffff && !surrogate;
    if (valid) {
      rest.remove_prefix(length);
      return point;
    }
  }
  rest.remove_prefix(1);
  return 0xdc00 + lead;
}

}  // namespace

bool python_less(std::string_view a, std::string_view b) noexcept {
  const std::size_t common = std::min(a.size(), b.size());
  std::size_t i = 0;
  while (i < common && a[i] == b[i] && static_cast<unsigned char>(a[i]) < 0x80) ++i;
  a.remove_prefix(i);
  b.remove_prefix(i);
  while (!a.empty() && !b.empty()) {
    const char32_t x = next_code_point(a), y = next_code_point(b);
    if (x != y) return x < y;
  }
  return a.empty() && !b.empty();
}

bool has_image_extension(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 9> extensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                          ".pgm", ".tif",  ".tiff", ".webp"};
  return std::any_of(extensions.begin(), extensions.end(), [name](std::string_view extension) {
    if (name.size() < extension.size()) return false;
    const std::string_view tail = name.substr(name.size() - extension.size());
    return std::equal(tail.begin(), tail.end(), extension.begin(), [](char c, char lower) {
      return c == lower || (c >= 'A' && c <= 'Z' && c - 'A' + 'a' == lower);
    });
  });
}

}  // namespace ringfeed::data
