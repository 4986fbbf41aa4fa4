#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/expected.h"
#include "io/engine.h"
#include "sample/decoders.h"

namespace ringfeed::pipeline {

using Clock = io::Engine::Clock;

/// Keeps what is scheduled until it is told to run it, and judges the bytes.
class FakeDecoders final : public sample::Decoders, public sample::Maker {
 public:
  using Judge = std::function<tl::expected<void, decode::Failure>(
      std::uint64_t position, std::string_view encoded, const std::byte* out)>;
  /// What each sample needs of a reserve of `reserve` bytes.
  using Need = std::function<std::size_t(std::string_view encoded)>;
  explicit FakeDecoders(Judge judge, std::size_t reserve = 0, Need need = {})
      : Decoders(reserve), judge_(std::move(judge)), need_(std::move(need)) {}

  void set_idle_reason(Idle reason) noexcept override { reason_ = reason; }
  Clock::duration idle_time(Idle reason) const noexcept override {
    return idle_[static_cast<std::size_t>(reason)];
  }
  int workers() const noexcept override { return 2; }
  std::uint64_t queued() const noexcept override { return jobs_.size(); }
  std::size_t need(std::span<const std::byte> encoded, data::Key, std::uint64_t) override {
    return need_ ? need_({reinterpret_cast<const char*>(encoded.data()), encoded.size()}) : 0;
  }
  tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded, data::Key,
                                           std::uint64_t position,
                                           const sample::Destination& to) override {
    return judge_(position, {reinterpret_cast<const char*>(encoded.data()), encoded.size()},
                  to.of(0));
  }

  Idle reason() const noexcept { return reason_; }
  void pass(Clock::duration time) noexcept {
    if (jobs_.empty()) idle_[static_cast<std::size_t>(reason_)] += 2 * time;
  }
  void run(std::size_t i) {
    const Job job = jobs_[i];
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(i));
    *job.maker = this;
    job.handle.resume();
  }

 private:
  void push(Job job) override { jobs_.push_back(job); }

  Judge judge_;
  Need need_;
  std::vector<Job> jobs_;
  Idle reason_ = Idle::finished;
  std::array<Clock::duration, 4> idle_{};
};

}  // namespace ringfeed::pipeline
