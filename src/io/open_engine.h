#pragma once

#include <memory>
#include <string>

#include "io/engine.h"
#include "ringfeed/reader_kind.h"

namespace ringfeed::io {

struct OpenedEngine {
  std::unique_ptr<Engine> engine;
  std::string note;  ///< why it is not the ring, where that was tried; engine->note() says the rest
};

/// What $RINGFEED_READER names; unset and empty are automatic. Throws std::invalid_argument where
/// it names no kind.
ReaderKind reader_in_environment();

/// The engine of `kind`; automatic takes the kind that $RINGFEED_READER names, else the ring, and
/// where that is refused the pool. Throws std::invalid_argument where $RINGFEED_READER names no
/// kind, whatever `kind` is; std::system_error where the ring was asked for and is refused. Called
/// on the reader thread, as make_ring_engine() is.
OpenedEngine open_engine(ReaderKind kind, const EngineOptions& options);

}  // namespace ringfeed::io
