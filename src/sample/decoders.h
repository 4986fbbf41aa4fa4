#pragma once

#include <chrono>
#include <coroutine>
#include <cstdint>

#include "sample/maker.h"
#include "sample/reserve.h"

namespace ringfeed::sample {

/// The decode threads as the reader thread sees them: DecodePool, or the tests' own.
class Decoders {
 public:
  using Job = sample::Job;

  explicit Decoders(std::size_t reserve, UsualNeed usual = {})
      : reserve_(reserve, [this](const Job& job) { push(job); }, usual) {}
  virtual ~Decoders() = default;
  Decoders(const Decoders&) = delete;
  Decoders& operator=(const Decoders&) = delete;

  /// Awaitable: continues on a decode thread and yields its Maker.
  auto schedule(std::uint64_t sequence) noexcept {
    struct Hop {
      Decoders& decoders;
      std::uint64_t sequence;
      Maker* maker = nullptr;
      bool await_ready() const noexcept { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        decoders.push({sequence, handle, &maker});
      }
      Maker& await_resume() const noexcept { return *maker; }
    };
    return Hop{*this, sequence};
  }

  /// For what an image takes while it is decoded.
  Reserve& reserve() noexcept { return reserve_; }
  const Reserve& reserve() const noexcept { return reserve_; }

  /// Why a worker without a job has none, from now on; the time it idles is booked to that.
  enum class Idle : std::uint8_t {
    finished,   ///< the epoch ends, or others decode what the batch that is due still lacks
    starved,    ///< no file has arrived
    blocked,    ///< a complete batch waits for the consumer, and the others are full
    unordered,  ///< the order has not been told: a sampler takes its time
  };
  virtual void set_idle_reason(Idle reason) noexcept = 0;
  virtual std::chrono::steady_clock::duration idle_time(Idle reason) const noexcept = 0;

  virtual int workers() const noexcept = 0;
  virtual std::uint64_t queued() const noexcept = 0;

 private:
  virtual void push(Job job) = 0;  // any thread

  Reserve reserve_;
};

}  // namespace ringfeed::sample
