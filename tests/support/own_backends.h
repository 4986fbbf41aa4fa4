#pragma once

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "decode/jpeg/entropy/lanes.h"

namespace ringfeed::testing {

/// Calls `body` with each of ringfeed's own entropy decoders that this machine can run.
template <class Body>
void for_each_own_backend(const Body& body) {
  using decode::EntropyBackend;
  for (const EntropyBackend backend : {EntropyBackend::streams, EntropyBackend::lanes}) {
    const std::string name(to_string(backend));
    CAPTURE(name);
    if (backend == EntropyBackend::lanes && !decode::has_lanes()) {
      MESSAGE("lanes: not run, this CPU has no AVX-512 with VBMI2");
    } else {
      body(backend);
    }
  }
}

}  // namespace ringfeed::testing
