#pragma once

#include <string_view>
#include <tl/expected.hpp>

#include "decode/bytes.h"
#include "decode/failure.h"

namespace ringfeed::decode {

/// What can be said of an image before it is decoded.
struct Inspection {
  int height = 0, width = 0;
  std::string_view mode;  ///< Pillow's: "RGB", "L", "CMYK", …
  bool sound = false;     ///< nothing in the bytes can keep it from being decoded
};

/// Of the JPEG or PNG in `file`, or why Pillow does not open it. Any thread.
tl::expected<Inspection, Failure> inspect(Bytes file);

}  // namespace ringfeed::decode
