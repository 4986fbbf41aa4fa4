#pragma once

#include <string>
#include <string_view>

#include "ringfeed/error.h"

namespace ringfeed::decode {

/// Why one image was refused; the caller adds the path.
struct Failure {
  bool truncated = false;        ///< the bytes end early: worth one more read before it is final
  std::string detail;            ///< what is wrong and, where no option would help, what to do
  Option option = Option::none;  ///< that stood in the way
  bool unidentified = false;     ///< Pillow would not know the file as an image either
  int code = 0;                  ///< errno where the machine is to blame: ENOMEM
};

/// The bytes end before the image does.
Failure truncated_file(std::string_view format);
/// The bytes are there but make no sense.
Failure broken_file(std::string_view format, std::string_view why);
/// The same failure where it keeps Pillow from knowing the file as an image.
Failure unidentified(Failure failure);
/// Nothing is wrong with the file but the limit `option` forbids it.
Failure over_limit(std::string_view what, Option option);

}  // namespace ringfeed::decode
