#include <doctest/doctest.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "engine_test.h"
#include "io/open_engine.h"
#include "support/deny.h"

namespace ringfeed::io {
namespace {

using testing::deny;

TEST_CASE("a container that forbids a call of io_uring: automatic takes the pool and says why") {
  const TempDir dir;
  dir.write("file", "content");
  const std::pair<unsigned, const char*> calls[] = {{__NR_io_uring_setup, "io_uring_setup"},
                                                    {__NR_io_uring_enter, "io_uring_enter"},
                                                    {__NR_io_uring_register, "io_uring"}};
  for (const auto& [call, name] : calls) {
    for (const unsigned error : {EPERM, ENOSYS, EACCES}) {
      CAPTURE(name);
      CAPTURE(error);
      const std::string said = in_child([&, denied = call, named = name]() -> std::string {
        ::unsetenv("RINGFEED_READER");
        deny(denied, error);
        const EngineOptions options{.slots = 4, .root = dir.path()};
        const auto [engine, note] = open_engine(ReaderKind::automatic, options);
        if (engine->name() != "pool" || note.find(named) == note.npos) return note;
        try {
          open_engine(ReaderKind::ring, options);
          return "made a ring";
        } catch (const std::system_error&) {
        }
        return read_together(*engine, dir, 100);
      });
      CHECK(said == "all 100 right");
    }
  }
}

TEST_CASE("RINGFEED_READER decides for automatic alone, and a wrong value is always an error") {
  const std::string said = in_child([]() -> std::string {
    const EngineOptions options{.slots = 4, .root = "/"};
    ::setenv("RINGFEED_READER", "pool", 1);
    if (open_engine(ReaderKind::automatic, options).engine->name() != "pool") return "not asked";
    deny(__NR_io_uring_setup, EPERM);
    ::setenv("RINGFEED_READER", "ring", 1);
    try {
      open_engine(ReaderKind::automatic, options);
      return "fell back from the ring that was asked for";
    } catch (const std::system_error&) {
    }
    if (open_engine(ReaderKind::pool, options).engine->name() != "pool") return "overruled";
    ::setenv("RINGFEED_READER", "", 1);
    if (open_engine(ReaderKind::automatic, options).engine->name() != "pool") return "empty";
    std::string errors;
    ::setenv("RINGFEED_READER", "rings", 1);
    for (const ReaderKind kind : {ReaderKind::automatic, ReaderKind::ring, ReaderKind::pool}) {
      try {
        open_engine(kind, options);
        errors += "none; ";
      } catch (const std::invalid_argument& error) {
        errors += std::string(error.what()) + "; ";
      }
    }
    return errors;
  });
  const std::string error = "RINGFEED_READER=rings: must be one of auto, ring, pool; ";
  CHECK(said == error + error + error);
}

}  // namespace
}  // namespace ringfeed::io
