#include "decode/failure.h"

namespace ringfeed::decode {

Failure truncated_file(std::string_view format) {
  return {true, "truncated " + std::string(format) + ": the bytes end before the image does",
          Option::load_truncated};
}

Failure broken_file(std::string_view format, std::string_view why) {
  return {false, "broken " + std::string(format) + " (" + std::string(why) +
                     "); fetch the file again or remove it"};
}

Failure unidentified(Failure failure) {
  failure.unidentified = true;
  return failure;
}

Failure over_limit(std::string_view what, Option option) {
  return {false, std::string(what), option};
}

}  // namespace ringfeed::decode
