#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "io/reader.h"

namespace ringfeed::io {

/// One try at one file: owns its slot, and the bytes that the engine writes to, from the open to
/// the last completion.
struct Reader::Attempt final : Credits::Growth {
  enum class State : std::uint8_t {
    idle,     // the slot is free
    reading,  // the engine has it
    growing,  // waits in Credits
    refused,  // waits in DepthLimit
    resting,  // waits for `due`
  };

  Attempt(Reader& r, std::uint32_t s) : reader(r), slot(s) { buffer = &bytes; }
  void granted() override { reader.issue(*this); }

  Reader& reader;
  const std::uint32_t slot;
  State state = State::idle;
  Read* read = nullptr;  // which it serves; null while idle
  Buffer bytes;
  std::string path;
  std::size_t asked = 0;
  bool opened = false;
  bool waits = false;     // somebody holds the file
  bool reopened = false;  // because what was open had gone stale
  int interruptions = 0;
  int retries = 0;
  std::chrono::milliseconds rest{0};  // before the next of them
  Clock::time_point due;
  Clock::time_point started;
};

}  // namespace ringfeed::io
