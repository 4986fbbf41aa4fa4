#pragma once

#include <tl/expected.hpp>

#include "ringfeed/error.h"

namespace ringfeed {

/// A per-sample result; std::expected once C++23 is the floor.
template <class T>
using Expected = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Stage stage, int code, std::string path, std::string detail,
                                  Option option = Option::none, bool unidentified = false) {
  return tl::unexpected<Error>(
      Error{stage, code, std::move(path), std::move(detail), option, unidentified});
}

}  // namespace ringfeed
