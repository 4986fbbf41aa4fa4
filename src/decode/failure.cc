#include "decode/failure.h"

namespace ringfeed::decode {

Failure truncated_file(std::string_view format) {
  return {true,
          "truncated " + std::string(format) +
              ": the bytes end before the image does; fetch the file again, or set "
              "load_truncated (from Python: PIL.ImageFile.LOAD_TRUNCATED_IMAGES) to accept it"};
}

Failure broken_file(std::string_view format, std::string_view why) {
  return {false, "broken " + std::string(format) + " (" + std::string(why) +
                     "); fetch the file again or remove it"};
}

Failure over_limit(std::string_view what, std::string_view option) {
  return {false, std::string(what) + "; raise " + std::string(option) +
                     " to accept it, or remove the file"};
}

}  // namespace ringfeed::decode
