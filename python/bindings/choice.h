#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ringfeed::python {

/// The value that goes with `name`. Throws ValueError that lists the names there are.
template <class T, std::size_t n>
T choose(const char* what, std::string_view name,
         const std::pair<std::string_view, T> (&choices)[n]) {
  std::string names;
  for (const auto& [candidate, value] : choices) {
    if (candidate == name) return value;
    names += (names.empty() ? "'" : ", '") + std::string(candidate) + "'";
  }
  throw nanobind::value_error(
      (std::string(what) + " must be one of " + names + ", not '" + std::string(name) + "'")
          .c_str());
}

}  // namespace ringfeed::python
