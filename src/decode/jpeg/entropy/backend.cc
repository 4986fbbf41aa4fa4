#include "decode/jpeg/entropy/backend.h"

#include <cstdlib>
#include <stdexcept>

#include "decode/jpeg/self_test.h"

namespace ringfeed::decode {
namespace {

constexpr const char* named = "$RINGFEED_ENTROPY";
constexpr const char* differs =
    "ringfeed's own decoder differs from the libjpeg that is loaded in a test picture";
constexpr EntropyBackend backends[] = {EntropyBackend::libjpeg, EntropyBackend::streams};

std::string names() {
  std::string all;
  for (const EntropyBackend backend : backends) {
    all += (all.empty() ? "" : ", ") + std::string(to_string(backend));
  }
  return all;
}

EntropyChoice choose() {
  const char* const variable = std::getenv("RINGFEED_ENTROPY");
  const std::string name = variable == nullptr ? "" : variable;
  if (name == to_string(EntropyBackend::libjpeg)) return {EntropyBackend::libjpeg, named};
  if (!name.empty() && name != to_string(EntropyBackend::streams)) {
    throw std::invalid_argument("RINGFEED_ENTROPY=" + name + ": must be one of " + names());
  }
  if (passes_self_test(EntropyBackend::streams, PixelBackend::libjpeg)) {
    return {EntropyBackend::streams, name.empty() ? "equals libjpeg in a test picture" : named};
  }
  if (name.empty()) return {EntropyBackend::libjpeg, differs};
  throw std::invalid_argument("RINGFEED_ENTROPY=" + name + ": " + differs + "; unset it");
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
