#pragma once

#include <cstdint>
#include <memory>

#include "io/engine.h"

namespace ringfeed::io {

/// What tests and benchmarks pin down and make_pool_engine() decides by itself.
struct PoolEngineOptions : EngineOptions {
  std::uint32_t threads = 0;  ///< at most; 0: one a slot
  std::uint32_t few = 0;      ///< that serve files in memory; 0: two a core, at least 4
};

std::unique_ptr<Engine> make_pool_engine(const PoolEngineOptions& options);

}  // namespace ringfeed::io
