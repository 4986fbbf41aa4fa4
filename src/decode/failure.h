#pragma once

#include <string>
#include <string_view>

namespace ringfeed::decode {

/// Why one image was refused; the caller adds the path.
struct Failure {
  bool truncated = false;  ///< the bytes end early: worth one more read before it is final
  std::string detail;      ///< what is wrong and what to do
};

/// The bytes end before the image does.
Failure truncated_file(std::string_view format);
/// The bytes are there but make no sense.
Failure broken_file(std::string_view format, std::string_view why);
/// Nothing is wrong with the file but a limit forbids it; `option` is the DecodeLimits field.
Failure over_limit(std::string_view what, std::string_view option);

}  // namespace ringfeed::decode
