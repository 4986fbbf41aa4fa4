#include "decode/jpeg/entropy/backend.h"

#include <cstdlib>
#include <stdexcept>

#include "decode/jpeg/entropy/lanes.h"
#include "decode/jpeg/entropy/preference.h"
#include "decode/jpeg/self_test.h"

namespace ringfeed::decode {
namespace {

constexpr const char* named = "$RINGFEED_ENTROPY";
constexpr const char* equal = "equals libjpeg in a test picture";
constexpr const char* differs =
    "ringfeed's own decoder differs from the libjpeg that is loaded in a test picture";
constexpr EntropyBackend backends[] = {EntropyBackend::libjpeg, EntropyBackend::streams,
                                       EntropyBackend::lanes};

EntropyBackend backend_named(const std::string& name) {
  std::string all;
  for (const EntropyBackend backend : backends) {
    if (name == to_string(backend)) return backend;
    all += (all.empty() ? "" : ", ") + std::string(to_string(backend));
  }
  throw std::invalid_argument("RINGFEED_ENTROPY=" + name + ": must be one of " + all);
}

/// Null: it can be used.
const char* obstacle(EntropyBackend backend) {
  if (backend == EntropyBackend::libjpeg) return nullptr;
  if (backend == EntropyBackend::lanes && !has_lanes()) {
    return "this CPU has no AVX-512 with VBMI2";
  }
  return passes_self_test(backend, PixelBackend::libjpeg) ? nullptr : differs;
}

EntropyChoice choose() {
  const char* const variable = std::getenv("RINGFEED_ENTROPY");
  const std::string name = variable == nullptr ? "" : variable;
  if (!name.empty()) {
    const EntropyBackend backend = backend_named(name);
    const char* const why_not = obstacle(backend);
    if (why_not == nullptr) return {backend, named};
    throw std::invalid_argument("RINGFEED_ENTROPY=" + name + ": " + why_not + "; unset it");
  }
  EntropyChoice choice = preferred(cpu_maker(), has_lanes(), lanes_pay);
  const char* why_not = obstacle(choice.backend);
  if (why_not != nullptr && choice.backend == EntropyBackend::lanes) {
    choice = {EntropyBackend::streams, "lanes differ from libjpeg in a test picture"};
    why_not = obstacle(choice.backend);
  }
  if (why_not != nullptr) return {EntropyBackend::libjpeg, why_not};
  choice.why = equal + ("; " + choice.why);
  return choice;
}

}  // namespace

std::string_view to_string(EntropyBackend backend) noexcept {
  switch (backend) {
    case EntropyBackend::streams: return "streams";
    case EntropyBackend::lanes: return "lanes";
    default: return "libjpeg";
  }
}

const EntropyChoice& entropy_choice() {
  static const EntropyChoice choice = choose();
  return choice;
}

}  // namespace ringfeed::decode
