#include "base/printable.h"

#include <array>
#include <cstddef>

namespace ringfeed {
namespace {

unsigned char byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}

/// Bytes of the UTF-8 character that begins here; 1 where none does.
std::size_t character_size(std::string_view text) {
  struct Form {
    unsigned char first, last, least, most;  // of the first byte, and of the second
    std::size_t size;
  };
  static constexpr std::array<Form, 8> forms{{{0xC2, 0xDF, 0x80, 0xBF, 2},
                                              {0xE0, 0xE0, 0xA0, 0xBF, 3},
                                              {0xE1, 0xEC, 0x80, 0xBF, 3},
                                              {0xED, 0xED, 0x80, 0x9F, 3},
                                              {0xEE, 0xEF, 0x80, 0xBF, 3},
                                              {0xF0, 0xF0, 0x90, 0xBF, 4},
                                              {0xF1, 0xF3, 0x80, 0xBF, 4},
                                              {0xF4, 0xF4, 0x80, 0x8F, 4}}};
  const unsigned char first = byte_at(text, 0), second = byte_at(text, 1);
  for (const Form& form : forms) {
    if (first < form.first || first > form.last) continue;
    bool whole = second >= form.least && second <= form.most;
    for (std::size_t i = 2; i < form.size; ++i) whole = whole && (byte_at(text, i) & 0xC0) == 0x80;
    return whole ? form.size : 1;
  }
  return 1;
}

std::string escaped(unsigned char control) {
  constexpr std::string_view digits = "0123456789abcdef";
  switch (control) {
    case '\n': return "\\n";
    case '\t': return "\\t";
    case '\r': return "\\r";
    default: return {'\\', 'x', digits[control >> 4], digits[control & 15]};
  }
}

bool is_control(unsigned char code) { return code < 0x20 || (code >= 0x7F && code < 0xA0); }

}  // namespace

std::string printable(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = character_size(text);
    const unsigned char code = byte_at(text, size == 2 ? 1 : 0);  // below U+00C0 the second's value
    const bool one = size == 1 || (size == 2 && byte_at(text, 0) == 0xC2);
    if (one && is_control(code)) {
      shown += escaped(code);
    } else {
      shown += text.substr(0, size);
    }
    text.remove_prefix(size);
  }
  return shown;
}

}  // namespace ringfeed
