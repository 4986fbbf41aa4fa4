#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "io/engine.h"

namespace ringfeed::io {

/// What tests and benchmarks pin down and make_ring_engine() decides by itself.
struct RingEngineOptions : EngineOptions {
  std::uint32_t workers = 0;        ///< io-wq threads at most; 0: one a slot
  std::uint32_t entries = 0;        ///< submission queue entries, at least 4; 0: derived from slots
  std::optional<bool> async_opens;  ///< start every chain in io-wq; unset: by the file system
};

std::unique_ptr<Engine> make_ring_engine(const RingEngineOptions& options);

}  // namespace ringfeed::io
