#pragma once

#include "decode/jpeg/entropy/backend.h"

namespace ringfeed::decode {

/// Whether `backend` decodes a picture of its own, as libjpeg does, and is asked to: the
/// libjpeg that is loaded may be another than the one ringfeed was built with.
bool passes_self_test(EntropyBackend backend);

}  // namespace ringfeed::decode
