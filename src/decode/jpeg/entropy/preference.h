#pragma once

#include <functional>
#include <string_view>

#include "decode/jpeg/entropy/backend.h"

namespace ringfeed::decode {

enum class CpuMaker : std::uint8_t { amd, other };

/// Of this machine's CPU.
CpuMaker cpu_maker();

/// Which of ringfeed's own decoders is the faster on a CPU, and why: by its maker, where that has
/// been measured, else by `lanes_pay`, which times both. `has_lanes`: it can run both.
EntropyChoice preferred(CpuMaker maker, bool has_lanes, const std::function<bool()>& lanes_pay);

}  // namespace ringfeed::decode
