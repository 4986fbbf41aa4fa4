// A deterministic simulation of whole epochs: the real loop of the reader thread, with all it owns,
// over files, decoders, a consumer and a clock that a seeded random generator moves. They move
// while the loop polls, so that a wake-up which is missing leaves it asleep with nothing to come.

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "data/index.h"
#include "io/fake_engine.h"
#include "pipeline/reader_thread.h"

namespace ringfeed::pipeline {
namespace {

using Clock = ReaderThread::Clock;
using Idle = sample::Decoders::Idle;

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
  bool in_order = true;
  std::size_t epochs = 2;
  std::size_t abandon_after = SIZE_MAX;  // events: the first epoch
  std::size_t stop_after = SIZE_MAX;     // events
};

/// Keeps what is scheduled until it is told to run it, and judges the bytes.
class FakeDecoders final : public sample::Decoders, public sample::Worker {
 public:
  using Judge = std::function<tl::expected<void, decode::Failure>(std::uint64_t position,
                                                                  std::string_view encoded)>;
  explicit FakeDecoders(Judge judge) : judge_(std::move(judge)) {}

  void set_idle_reason(Idle reason) noexcept override { reason_ = reason; }
  Clock::duration idle_time(Idle reason) const noexcept override {
    return idle_[static_cast<std::size_t>(reason)];
  }
  int workers() const noexcept override { return 2; }
  std::uint64_t queued() const noexcept override { return jobs_.size(); }
  tl::expected<void, decode::Failure> make(std::span<const std::byte> encoded, data::Key,
                                           std::uint64_t position, std::byte*) override {
    return judge_(position, {reinterpret_cast<const char*>(encoded.data()), encoded.size()});
  }

  void pass(Clock::duration time) noexcept {
    if (jobs_.empty()) idle_[static_cast<std::size_t>(reason_)] += 2 * time;
  }
  void run(std::size_t i) {
    const Job job = jobs_[i];
    jobs_.erase(jobs_.begin() + static_cast<std::ptrdiff_t>(i));
    *job.worker = this;
    job.handle.resume();
  }

 private:
  void push(Job job) override { jobs_.push_back(job); }

  Judge judge_;
  std::vector<Job> jobs_;
  Idle reason_ = Idle::finished;
  std::array<Clock::duration, 3> idle_{};
};

Settings settings_of(const Scenario& scenario) {
  Settings settings{};
  settings.batch_size = scenario.batch;
  settings.prefetch_factor = scenario.prefetch;
  settings.in_order = scenario.in_order;
  settings.read_ahead_bytes = scenario.bytes;
  settings.max_file_bytes = scenario.max_file;
  settings.depth = scenario.slots;
  return settings;
}

ImageFolder folder_of(std::size_t samples) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < samples; ++i) paths.push_back("/data/" + std::to_string(i));
  return ImageFolder::from_samples("/data", {}, paths, std::vector<std::int64_t>(samples));
}

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
  tl::expected<void, decode::Failure> judge(std::uint64_t position, std::string_view encoded);

  const Scenario s_;
  std::mt19937 random_;
  const Settings settings_;
  const ImageFolder dataset_;
  io::FakeEngine engine_;
  FakeDecoders decoders_;
  coro::Inbox inbox_;
  Published published_;
  ReaderThread thread_;
  Clock::time_point now_{};
  std::vector<io::Engine::Completion> ready_;
  std::vector<std::string> names_;
  std::set<std::uint64_t> damaged_;

  std::shared_ptr<EpochLink> epoch_;
  std::set<std::uint64_t> failed_;  // of this epoch
  std::size_t queued_ = 0, opened_ = 0, delivered_ = 0;
  std::size_t epochs_begun_ = 0, epochs_whole_ = 0, events_ = 0;
  bool stopped_ = false;
  std::vector<std::byte> pixels_ = std::vector<std::byte>(3 * s_.batch);
};

Simulation::Simulation(const Scenario& scenario, unsigned seed)
    : s_(scenario),
      random_(seed),
      settings_(settings_of(scenario)),
      dataset_(folder_of(scenario.samples)),
      engine_(scenario.slots),
      decoders_([this](std::uint64_t position, std::string_view encoded) {
        return judge(position, encoded);
      }),
      inbox_([this] { engine_.wake(); }),
      thread_({engine_, inbox_, decoders_, dataset_, settings_, 3, published_}) {
  engine_.on_poll = [this](Clock::time_point until, auto& out) { poll(until, out); };
  for (std::size_t i = 0; i < s_.samples; ++i) {
    const std::size_t size = 2 + random_() % (chance(s_.large) ? s_.max_file - 1 : 2 * page - 1);
    std::string content(size, static_cast<char>('a' + i % 26));
    // Where a read ends short behind the first of two, the file seems to end cleanly.
    if (chance(0.5)) content.replace(random_() % (size - 1), 2, "\xFF\xD9");
    content.replace(size - 2, 2, "\xFF\xD9");
    std::string& name = names_.emplace_back();
    dataset_.index().relative_path(i, name);
    engine_.files[name] = std::move(content);
    if (chance(s_.damaged)) damaged_.insert(i);
  }
}

tl::expected<void, decode::Failure> Simulation::judge(std::uint64_t position,
                                                      std::string_view encoded) {
  const std::string& content = engine_.files[names_[position]];
  CHECK(content.starts_with(encoded));
  if (encoded.size() == content.size() && !damaged_.contains(position)) return {};
  if (damaged_.contains(position)) failed_.insert(position);
  return tl::unexpected(decode::Failure{true, "truncated"});
}

void Simulation::poll(Clock::time_point until, std::vector<io::Engine::Completion>& out) {
  CHECK(published_.read_ahead_peak <= s_.bytes + io::Reader::reserve_bytes(s_.max_file));
  while (chance(0.5)) happen();  // while the loop was awake
  while (until != io::Engine::at_once && ready_.empty() && !engine_.woken) {
    if (until != io::Engine::for_ever && (chance(0.2) || now_ >= until)) break;
    if (happen()) continue;
    REQUIRE_MESSAGE(until != io::Engine::for_ever, "asleep, and nothing will wake it");
    break;
  }
  if (until != io::Engine::at_once) engine_.woken = false;
  if (until != io::Engine::at_once && until != io::Engine::for_ever && until > now_) {
    decoders_.pass(until - now_);
    now_ = until;
  }
  out.insert(out.end(), ready_.begin(), ready_.end());
  ready_.clear();
}

bool Simulation::happen() {
  ++events_;
  if (events_ == s_.stop_after) {
    stop();
    return true;
  }
  if (events_ == s_.abandon_after && epochs_begun_ == 1) {
    epoch_->channel.cancel();
    begin_epoch();
    return true;
  }
  const auto time = std::chrono::microseconds(random_() % 500);
  decoders_.pass(time);
  now_ += time;
  const std::size_t operations = engine_.operations.size();
  const std::size_t jobs = decoders_.queued();
  const std::size_t i = random_() % (operations + jobs + 1);
  if (i == operations + jobs && consume()) return true;
  if (operations + jobs == 0) return false;
  const std::size_t k = i % (operations + jobs);
  if (k < operations) {
    end_operation(k);
  } else {
    decoders_.run(k - operations);
  }
  return true;
}

void Simulation::end_operation(std::size_t i) {
  const auto& operation = engine_.operations[i];
  const auto position =
      static_cast<std::uint64_t>(std::ranges::find(names_, operation.path) - names_.begin());
  if (operation.cancelled && chance(0.5)) {
    ready_.push_back(engine_.refuse(i, ECANCELED));
  } else if (operation.open && chance(s_.starved)) {
    failed_.insert(position);  // perhaps: it may be tried again
    ready_.push_back(engine_.refuse(i, EMFILE));
  } else if (chance(s_.broken)) {
    failed_.insert(position);
    ready_.push_back(engine_.break_read(i, EIO));
  } else {
    ready_.push_back(engine_.answer(i, chance(0.1) ? 1 + random_() % page : SIZE_MAX));
  }
}

void Simulation::begin_epoch() {
  epoch_ = std::make_shared<EpochLink>(settings_, epochs_begun_++);
  queued_ = opened_ = delivered_ = 0;
  failed_.clear();
  inbox_.post([this, epoch = epoch_] { thread_.begin(epoch); });
}

void Simulation::stop() {
  if (std::exchange(stopped_, true)) return;
  epoch_->channel.cancel();
  inbox_.post([this] { thread_.stop(); });
}

/// What the consumer can do: one thing of it.
bool Simulation::consume() {
  if (stopped_) return false;
  if (epoch_->channel.exhausted()) {
    ++epochs_whole_;
    if (epochs_begun_ == s_.epochs) {
      stop();
    } else {
      begin_epoch();
    }
    return true;
  }
  if (chance(0.5) && take_batch()) return true;
  if (chance(0.5)) return queue_batch() || open_batch() || take_batch();
  return open_batch() || queue_batch() || take_batch();
}

bool Simulation::queue_batch() {
  if (queued_ > batches()) return false;
  if (queued_ == batches()) {
    ++queued_;
    epoch_->channel.close(batches());
    if (epoch_->queue.close()) inbox_.notify();
    return true;
  }
  PlannedBatch planned{queued_, queued_, {}};
  const std::size_t first = queued_ * s_.batch;
  for (std::size_t k = first; k < std::min(first + s_.batch, s_.samples); ++k) {
    data::Sample sample{};
    sample.entry = static_cast<std::uint32_t>(k);
    sample.position = k;
    planned.samples.push_back(sample);
  }
  ++queued_;
  if (epoch_->queue.push(std::make_shared<const PlannedBatch>(std::move(planned)))) {
    inbox_.notify();
  }
  return true;
}

bool Simulation::open_batch() {
  if (opened_ >= std::min(queued_, batches()) || !epoch_->channel.has_room()) return false;
  Batch batch;
  batch.number = static_cast<std::int64_t>(opened_);
  batch.height = batch.width = 1;
  batch.dtype = DType::uint8;
  batch.labels.resize(std::min(s_.batch, s_.samples - opened_ * s_.batch));
  batch.memory.data = pixels_.data();
  epoch_->channel.open(std::move(batch));
  ++opened_;
  inbox_.notify();
  return true;
}

bool Simulation::take_batch() {
  const auto delivery = epoch_->channel.take(Clock::time_point{});
  if (!delivery) return false;
  const auto number = static_cast<std::size_t>(delivery->batch.number);
  if (s_.in_order) CHECK(number == delivered_);
  ++delivered_;
  const auto first = failed_.lower_bound(number * s_.batch);
  const bool may_fail = first != failed_.end() && *first < (number + 1) * s_.batch;
  if (delivery->error) CHECK(may_fail);
  return true;
}

void Simulation::run() {
  begin_epoch();
  while (thread_.turn(now_)) REQUIRE(events_ < 1000 * s_.samples);
  CHECK(decoders_.queued() == 0);
  CHECK(engine_.operations.empty());
  CHECK(stopped_);
  if (s_.stop_after == SIZE_MAX) {
    CHECK(epochs_begun_ == s_.epochs);
    CHECK(delivered_ == batches());
    CHECK(epochs_whole_ + (s_.abandon_after < events_ ? 1 : 0) >= s_.epochs);
  }
}

void over_seeds(int runs, const std::function<Scenario(std::mt19937&)>& make) {
  const unsigned first = std::random_device{}();
  for (int i = 0; i < runs; ++i) {
    const unsigned seed = first + static_cast<unsigned>(i);
    INFO("seed " << seed);
    std::mt19937 random(seed);
    Simulation(make(random), seed).run();
  }
}

TEST_CASE("no seed stalls an epoch or passes the byte bound") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 50 + random() % 200;
    s.batch = 1 + random() % 40;
    s.prefetch = 1 + random() % 3;
    s.bytes = (2 + random() % 40) * page;
    s.slots = 1 + static_cast<std::uint32_t>(random() % 16);
    s.max_file = (2 + random() % 60) * page;
    s.large = (random() % 3) * 0.3;
    s.broken = (random() % 2) * 0.05;
    s.starved = (random() % 2) * 0.1;
    s.damaged = (random() % 2) * 0.1;
    s.in_order = random() % 2 == 0;
    return s;
  });
}

TEST_CASE("every file several times the guess, with memory at its minimum, does not deadlock") {
  over_seeds(50, [](std::mt19937&) {
    Scenario s;
    s.bytes = 2 * page;
    s.max_file = 8 * page;
    s.large = 1.0;
    return s;
  });
}

TEST_CASE("an epoch abandoned at any moment leaves all its bytes and slots to the next") {
  over_seeds(100, [](std::mt19937& random) {
    Scenario s;
    s.samples = 100;
    s.bytes = (2 + random() % 10) * page;
    s.abandon_after = 1 + random() % 600;
    s.large = 0.5;
    s.starved = 0.1;
    return s;
  });
}

TEST_CASE("a stop at any moment drains") {
  over_seeds(200, [](std::mt19937& random) {
    Scenario s;
    s.samples = 100;
    s.stop_after = 1 + random() % 600;
    s.large = 0.5;
    s.starved = 0.1;
    return s;
  });
}

}  // namespace
}  // namespace ringfeed::pipeline
