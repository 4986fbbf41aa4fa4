#pragma once

#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tl/expected.hpp>

#include "data/random.h"
#include "decode/failure.h"

namespace ringfeed::sample {

/// Makes samples on one decode thread; handed to each coroutine that runs there.
class Worker {
 public:
  virtual ~Worker() = default;
  /// Encoded file -> the sample at `position`, written to `out`. On failure `out` holds garbage.
  virtual tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded,
                                                   data::Key key, std::uint64_t position,
                                                   std::byte* out) = 0;
};

/// The decode threads as the reader thread sees them: DecodePool, or the tests' own.
class Decoders {
 public:
  virtual ~Decoders() = default;

  struct Job {
    std::uint64_t sequence;
    std::coroutine_handle<> handle;
    Worker** worker;  // where the awaiting coroutine learns who runs it
  };

  /// Awaitable: continues on a decode thread and yields its Worker. Awaited on one thread only.
  auto schedule(std::uint64_t sequence) noexcept {
    struct Hop {
      Decoders& decoders;
      std::uint64_t sequence;
      Worker* worker = nullptr;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        decoders.push({sequence, handle, &worker});
      }
      Worker& await_resume() const noexcept { return *worker; }
    };
    return Hop{*this, sequence};
  }

  /// Why a worker without a job has none, from now on; the time it idles is booked to that.
  enum class Idle : std::uint8_t { finished, starved, blocked };
  virtual void set_idle_reason(Idle reason) noexcept = 0;
  virtual std::chrono::steady_clock::duration idle_time(Idle reason) const noexcept = 0;

  virtual int workers() const noexcept = 0;
  virtual std::uint64_t queued() const noexcept = 0;

 private:
  virtual void push(Job job) = 0;
};

}  // namespace ringfeed::sample
