#pragma once

#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/pixels/backend.h"

namespace ringfeed::decode {

/// Whether these back ends decode pictures made for them, one of them with restarts, as libjpeg
/// does, and are asked to: the libjpeg that is loaded may be another than the one ringfeed was
/// built with.
bool passes_self_test(EntropyBackend entropy, PixelBackend pixels);

/// Whether lanes, which this CPU must have, decode such a picture 10 % faster than streams: the
/// best of 6 each, in turns (some 20 ms).
bool lanes_pay();

}  // namespace ringfeed::decode
