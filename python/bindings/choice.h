#pragma once

#include <nanobind/nanobind.h>

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringfeed/interpolation.h"

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

inline std::vector<Interpolation> chosen_interpolations(const std::vector<std::string>& names) {
  std::vector<Interpolation> chosen;
  chosen.reserve(names.size());
  for (const std::string& name : names) {
    chosen.push_back(choose("interpolation", name, interpolations));
  }
  return chosen;
}

}  // namespace ringfeed::python
