#pragma once

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace ringfeed {

/// The number that is all of `text`; nothing if it is none.
template <class Number>
std::optional<Number> to_number(std::string_view text) {
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

}  // namespace ringfeed
