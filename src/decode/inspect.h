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
  /// The headers are ones that the decoder takes, and the bytes end as they should: a JPEG by its
  /// end mark, a PNG by whole chunks with the right checksums. What is compressed is not looked at.
  bool sound = false;
};

/// Of the JPEG or PNG in `file`, or why the decoder does not take it. Any thread.
tl::expected<Inspection, Failure> inspect(Bytes file);

}  // namespace ringfeed::decode
