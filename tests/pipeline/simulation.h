#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "io/fake_engine.h"
#include "pipeline/fake_decoders.h"
#include "pipeline/reader_thread.h"

namespace ringfeed::pipeline {

constexpr std::size_t page = io::Arena::page;

struct Scenario {
  std::size_t samples = 300;
  std::size_t batch = 16;
  std::size_t prefetch = 2;
  std::size_t bytes = 16 * page;
  std::uint32_t slots = 8;
  std::size_t max_file = 32 * page;
  double large = 0.2;     // files far over the guess
  double broken = 0.02;   // reads that fail
  double starved = 0.02;  // opens refused for want of descriptors
  double damaged = 0.02;  // files that lack data which no read brings
  double huge = 0;        // files that need memory of the reserve, some more than there is
  OnError on_error = OnError::raise;
  int retries = 0;
  bool in_order = true;
  std::size_t epochs = 2;
  std::size_t abandon_after = SIZE_MAX;  // events: the first epoch
  std::size_t stop_after = SIZE_MAX;     // events
};

Settings settings_of(const Scenario& scenario);
ImageFolder folder_of(std::size_t samples);

/// A deterministic simulation of whole epochs: the real loop of the reader thread, with all it
/// owns, over files, decoders, a consumer and a clock that a seeded random generator moves. They
/// move while the loop polls, so that a wake-up which is missing leaves it asleep with nothing to
/// come.
class Simulation {
 public:
  Simulation(const Scenario& scenario, unsigned seed);
  /// Epoch after epoch, until the thread has stopped.
  void run();

 private:
  bool chance(double p) { return std::uniform_real_distribution<>()(random_) < p; }
  std::size_t batches() const { return (s_.samples + s_.batch - 1) / s_.batch; }
  void poll(Clock::time_point until, std::vector<io::Engine::Completion>& out);
  /// Lets one random thing happen; false if there is none.
  bool happen();
  void end_operation(std::size_t i);
  void begin_epoch();
  bool consume();
  bool queue_batch();
  bool open_batch();
  bool take_batch();
  void stop();
  std::size_t need(std::string_view encoded) const;
  tl::expected<void, decode::Failure> judge(std::uint64_t position, std::string_view encoded,
                                            const std::byte* out);

  const Scenario s_;
  std::mt19937 random_;
  const Settings settings_;
  const ImageFolder dataset_;
  io::FakeEngine engine_;
  FakeDecoders decoders_;
  coro::Inbox inbox_;
  Published published_;
  std::atomic<bool> stopping_{false};
  ReaderThread thread_;
  Clock::time_point now_{};
  std::vector<io::Engine::Completion> ready_;
  std::vector<std::string> names_;    // of entries
  std::vector<std::uint32_t> order_;  // the entry at each position
  std::set<std::uint32_t> damaged_;   // entries
  std::vector<std::size_t> needs_;    // of entries, of the reserve

  std::shared_ptr<EpochLink> epoch_;
  std::set<std::uint64_t> made_;     // positions, in this epoch
  std::set<std::string> disturbed_;  // files whose open or read has failed, in this epoch
  std::size_t queued_ = 0, opened_ = 0, delivered_ = 0;
  std::size_t epochs_begun_ = 0, epochs_whole_ = 0, events_ = 0;
  std::vector<std::byte> pixels_ = std::vector<std::byte>(3 * s_.batch);
};

}  // namespace ringfeed::pipeline
