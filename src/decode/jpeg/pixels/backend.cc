#include "decode/jpeg/pixels/backend.h"

#include <cstdlib>
#include <stdexcept>

#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/self_test.h"

namespace ringfeed::decode {
namespace {

constexpr const char* named = "$RINGFEED_PIXELS";
constexpr const char* unread = "libjpeg reads the scans";
constexpr const char* differs =
    "ringfeed's own pixels differ from those of the libjpeg that is loaded in a test picture";

PixelChoice choose() {
  const EntropyBackend entropy = entropy_choice().backend;  // throws, whatever comes next
  const char* const variable = std::getenv("RINGFEED_PIXELS");
  const std::string name = variable == nullptr ? "" : variable;
  if (name == to_string(PixelBackend::libjpeg)) return {PixelBackend::libjpeg, named};
  if (!name.empty() && name != to_string(PixelBackend::vectors)) {
    throw std::invalid_argument("RINGFEED_PIXELS=" + name + ": must be one of libjpeg, vectors");
  }
  const char* why_not = nullptr;
  if (entropy == EntropyBackend::libjpeg) {
    why_not = unread;
  } else if (!passes_self_test(entropy, PixelBackend::vectors)) {
    why_not = differs;
  } else {
    return {PixelBackend::vectors, name.empty() ? "equal libjpeg's in test pictures" : named};
  }
  if (name.empty()) return {PixelBackend::libjpeg, why_not};
  throw std::invalid_argument("RINGFEED_PIXELS=" + name + ": " + why_not + "; unset it");
}

}  // namespace

std::string_view to_string(PixelBackend backend) noexcept {
  return backend == PixelBackend::vectors ? "vectors" : "libjpeg";
}

const PixelChoice& pixel_choice() {
  static const PixelChoice choice = choose();
  return choice;
}

}  // namespace ringfeed::decode
