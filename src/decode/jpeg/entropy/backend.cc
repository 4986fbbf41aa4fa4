#include "decode/jpeg/entropy/backend.h"

#include <cstdlib>
#include <stdexcept>

#include "decode/jpeg/entropy/self_test.h"

namespace ringfeed::decode {
namespace {

constexpr EntropyBackend backends[] = {EntropyBackend::libjpeg, EntropyBackend::streams};

EntropyChoice choose() {
  const char* const variable = std::getenv("RINGFEED_ENTROPY");
  const std::string name = variable == nullptr ? "" : variable;
  if (name.empty()) {
    if (passes_self_test(EntropyBackend::streams)) {
      return {EntropyBackend::streams, "fastest of those for this CPU"};
    }
    return {EntropyBackend::libjpeg,
            "ringfeed's own differs from this libjpeg in a picture made to compare them"};
  }
  for (const EntropyBackend backend : backends) {
    if (name == to_string(backend)) return {backend, "$RINGFEED_ENTROPY"};
  }
  std::string message = "RINGFEED_ENTROPY=" + name + ": must be one of";
  for (const EntropyBackend backend : backends) {
    message += (backend == backends[0] ? " " : ", ") + std::string(to_string(backend));
  }
  throw std::invalid_argument(message);
}

}  // namespace

std::string_view to_string(EntropyBackend backend) noexcept {
  return backend == EntropyBackend::streams ? "streams" : "libjpeg";
}

const EntropyChoice& entropy_choice() {
  static const EntropyChoice choice = choose();
  return choice;
}

}  // namespace ringfeed::decode
