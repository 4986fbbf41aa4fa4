#include "io/open_engine.h"

#include <cstdlib>
#include <stdexcept>
#include <system_error>

namespace ringfeed::io {

ReaderKind reader_in_environment() {
  const char* variable = std::getenv("RINGFEED_READER");
  const std::string name = variable == nullptr ? "" : variable;
  if (name.empty()) return ReaderKind::automatic;
  if (const auto kind = parse_reader_kind(name)) return *kind;
  std::string message = "RINGFEED_READER=" + name + ": must be one of";
  for (const auto& [legal, kind] : reader_kinds) {
    message += (kind == reader_kinds[0].second ? " " : ", ") + std::string(legal);
  }
  throw std::invalid_argument(message);
}

OpenedEngine open_engine(ReaderKind kind, const EngineOptions& options) {
  const ReaderKind environment = reader_in_environment();  // checked even where it does not count
  if (kind == ReaderKind::automatic) kind = environment;
  std::string note;
  if (kind != ReaderKind::pool) {
    try {
      return {make_ring_engine(options), {}};
    } catch (const std::system_error& error) {
      if (kind == ReaderKind::ring) throw;
      note = std::string("io_uring unavailable: ") + error.what();
    }
  }
  return {make_pool_engine(options), std::move(note)};
}

}  // namespace ringfeed::io
