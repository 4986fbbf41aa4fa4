#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "io/pool_engine.h"
#include "io/ring_engine.h"
#include "support/in_child.h"
#include "support/temp_dir.h"

namespace ringfeed::io {

using testing::in_child;
using testing::TempDir;

inline std::string numbered(std::string name, int number) {
  name += std::to_string(number);
  return name;
}

using Bytes = std::vector<std::byte>;

inline std::string text_of(const Bytes& buffer, int size) {
  return {reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(size)};
}

/// Ends the process by SIGALRM if the scope takes longer: a lost wake-up must not look like a slow
/// machine.
class Deadline {
 public:
  explicit Deadline(unsigned seconds) { ::alarm(seconds); }
  ~Deadline() { ::alarm(0); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
};

/// Why there is no io_uring here; empty if there is.
inline const std::string& ring_missing() {
  static const std::string reason = [] {
    try {
      make_ring_engine(EngineOptions{.slots = 1, .root = "/"});
    } catch (const std::system_error& error) {
      return std::string(error.what());
    }
    return std::string();
  }();
  return reason;
}

enum class Kind { ring, ring_in_io_wq, ring_of_4_entries, pool };

inline std::unique_ptr<Engine> make(Kind kind, std::uint32_t slots, const std::string& root,
                                    std::uint32_t workers = 0) {
  const EngineOptions options{.slots = slots, .root = root};
  switch (kind) {
    case Kind::ring: return make_ring_engine(RingEngineOptions{options, workers, 0, false});
    case Kind::ring_in_io_wq: return make_ring_engine(RingEngineOptions{options, workers, 0, true});
    case Kind::ring_of_4_entries:
      return make_ring_engine(RingEngineOptions{options, workers, 4, std::nullopt});
    case Kind::pool: return make_pool_engine(PoolEngineOptions{options, workers, 0});
  }
  return nullptr;
}

/// Runs `body` once with each kind, as subcases; says which cannot run here.
inline void on_every_engine(const std::function<void(Kind)>& body,
                            const std::vector<Kind>& kinds = {Kind::ring, Kind::ring_in_io_wq,
                                                              Kind::ring_of_4_entries,
                                                              Kind::pool}) {
  static const char* const names[] = {"ring", "ring, opens in io-wq", "ring of 4 entries", "pool"};
  for (const Kind kind : kinds) {
    DOCTEST_SUBCASE(names[static_cast<int>(kind)]) {
      if (kind != Kind::pool && !ring_missing().empty()) {
        MESSAGE("SKIPPED, no io_uring here: " << ring_missing());
      } else {
        body(kind);
      }
    }
  }
}

/// A time to wait to: none, ever, or 100 us at most.
inline Engine::Clock::time_point some_time(std::mt19937& random, bool may_wait) {
  if (!may_wait) return Engine::at_once;
  switch (random() % 3) {
    case 0: return Engine::at_once;
    case 1: return Engine::for_ever;
    default: return Engine::Clock::now() + std::chrono::microseconds(random() % 100);
  }
}

/// Polls until at least one completion has come.
inline std::vector<Engine::Completion> wait_for_some(Engine& engine) {
  std::vector<Engine::Completion> out;
  while (out.empty()) engine.poll(Engine::for_ever, out);
  return out;
}

/// Reads one file with nothing else under way.
inline Engine::Completion read_alone(Engine& engine, const std::string& path, Bytes& buffer,
                                     std::uint64_t offset = 0, std::uint32_t slot = 0) {
  engine.open_and_read(slot, path.c_str(), buffer, offset);
  const auto out = wait_for_some(engine);
  REQUIRE(out.size() == 1);
  CHECK(out[0].slot == slot);
  return out[0];
}

/// Reads the file of 7 bytes `dir / "file"`, `count` times, slot by slot at once; "all N right" or
/// the first fault.
inline std::string read_together(Engine& engine, const TempDir& dir, std::uint32_t count) {
  std::vector<Bytes> buffers(engine.slots(), Bytes(16));
  const std::string path = dir / "file";
  std::uint32_t right = 0;
  while (right < count) {
    const std::uint32_t batch = std::min(engine.slots(), count - right);
    for (std::uint32_t i = 0; i < batch; ++i) {
      engine.open_and_read(i, path.c_str(), buffers[i], 0);
    }
    std::vector<Engine::Completion> out;
    while (out.size() < batch) engine.poll(Engine::for_ever, out);
    for (const auto& done : out) {
      if (done.result != 7) return "errno " + std::to_string(-done.result);
      ++right;
    }
  }
  return "all " + std::to_string(right) + " right";
}

/// A root process becomes nobody (in a child), so that permissions and limits count.
inline void become_nobody() {
  if (::geteuid() != 0) return;
  if (::setgid(65534) != 0 || ::setuid(65534) != 0) throw std::runtime_error("setuid");
}

}  // namespace ringfeed::io
