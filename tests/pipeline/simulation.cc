#include "pipeline/simulation.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "data/index.h"

namespace ringfeed::pipeline {
namespace {

constexpr std::size_t reserve = 100;
constexpr std::size_t number_bytes = 4;  // at a file's beginning, which entry it is

std::string number_of(std::size_t entry) {
  const std::string digits = std::to_string(entry);
  return std::string(number_bytes - digits.size(), '0') + digits;
}

}  // namespace

Settings settings_of(const Scenario& scenario) {
  Settings settings{};
  settings.batch_size = scenario.batch;
  settings.prefetch_factor = scenario.prefetch;
  settings.in_order = scenario.in_order;
  settings.on_error = scenario.on_error;
  settings.retries = scenario.retries;
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

Simulation::Simulation(const Scenario& scenario, unsigned seed)
    : s_(scenario),
      random_(seed),
      settings_(settings_of(scenario)),
      dataset_(folder_of(scenario.samples)),
      engine_(scenario.slots),
      decoders_([this](auto... of_sample) { return judge(of_sample...); }, reserve,
                [this](std::string_view encoded) { return need(encoded); }),
      inbox_([this] { engine_.wake(); }),
      thread_({engine_, inbox_, decoders_, dataset_, settings_, published_, stopping_}) {
  engine_.on_poll = [this](Clock::time_point until, auto& out) { poll(until, out); };
  for (std::size_t i = 0; i < s_.samples; ++i) {
    const std::size_t size = number_bytes + 2 +
                             random_() % (chance(s_.large) ? s_.max_file - number_bytes - 1
                                                           : 2 * page - number_bytes - 1);
    std::string content = number_of(i);
    content.resize(size, static_cast<char>('a' + i % 26));
    // Where a read ends short behind the first of two, the file seems to end cleanly.
    if (chance(0.5)) {
      content.replace(number_bytes + random_() % (size - number_bytes - 1), 2, "\xFF\xD9");
    }
    content.replace(size - 2, 2, "\xFF\xD9");
    std::string& name = names_.emplace_back();
    dataset_.index().relative_path(i, name);
    engine_.files[name] = std::move(content);
    if (chance(s_.damaged)) damaged_.insert(static_cast<std::uint32_t>(i));
    needs_.push_back(chance(s_.huge) ? 1 + random_() % (2 * reserve) : 0);
    order_.push_back(static_cast<std::uint32_t>(i));
  }
  std::ranges::shuffle(order_, random_);
}

std::size_t Simulation::need(std::string_view encoded) const {
  if (encoded.size() < number_bytes) return 0;
  return needs_[std::stoul(std::string(encoded, 0, number_bytes))];
}

tl::expected<void, decode::Failure> Simulation::judge(std::uint64_t position,
                                                      std::string_view encoded,
                                                      const std::byte* out) {
  if (encoded.size() < number_bytes) return tl::unexpected(decode::Failure{true, "truncated"});
  const auto entry = static_cast<std::uint32_t>(std::stoul(std::string(encoded, 0, number_bytes)));
  if (s_.on_error != OnError::replace) CHECK(entry == order_[position]);
  const std::string& content = engine_.files[names_[entry]];
  CHECK(content.starts_with(encoded));
  CHECK(out == pixels_.data() + 3 * (position % s_.batch));
  if (encoded.size() < content.size() || damaged_.contains(entry)) {
    return tl::unexpected(decode::Failure{true, "truncated"});
  }
  CHECK(made_.insert(position).second);
  return {};
}

void Simulation::poll(Clock::time_point until, std::vector<io::Engine::Completion>& out) {
  CHECK(published_.read_ahead_peak <= s_.bytes + io::Reader::reserve_bytes(s_.max_file));
  // Asleep behind the last file of an epoch, with no news underway.
  if (until == io::Engine::for_ever && epoch_->channel.exhausted() && ready_.empty() &&
      engine_.operations.empty() && !engine_.woken) {
    CHECK(engine_.open.empty());
  }
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
  if (operation.cancelled && chance(0.5)) {
    ready_.push_back(engine_.refuse(i, ECANCELED));
  } else if (operation.open && chance(s_.starved)) {
    disturbed_.insert(operation.path);
    ready_.push_back(engine_.refuse(i, EMFILE));
  } else if (chance(s_.broken)) {
    disturbed_.insert(operation.path);
    ready_.push_back(engine_.break_read(i, EIO));
  } else {
    ready_.push_back(engine_.answer(i, chance(0.1) ? 1 + random_() % page : SIZE_MAX));
  }
}

void Simulation::begin_epoch() {
  epoch_ = std::make_shared<EpochLink>(settings_, epochs_begun_++);
  queued_ = opened_ = delivered_ = 0;
  made_.clear();
  disturbed_.clear();
  inbox_.post([this, epoch = epoch_] { thread_.begin(epoch); });
}

void Simulation::stop() {
  if (stopping_.exchange(true)) return;
  epoch_->channel.cancel();
  inbox_.notify();
}

/// What the consumer can do: one thing of it.
bool Simulation::consume() {
  if (stopping_) return false;
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
    sample.entry = order_[k];
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
  batch.views = {{.height = 1, .width = 1, .dtype = DType::uint8}};
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
  std::vector<std::size_t> lost, failed;  // rows
  for (std::size_t row = 0; row < delivery->batch.size(); ++row) {
    if (!made_.contains(number * s_.batch + row)) lost.push_back(row);
  }
  for (const batch::FailedRow& row : delivery->failed) {
    if (!row.substitute()) failed.push_back(row.row);
    CHECK(row.failures[0].index == order_[number * s_.batch + row.row]);
    for (const Failure& failure : row.failures) {
      CHECK((damaged_.contains(failure.index) || disturbed_.contains(names_[failure.index])));
      CHECK(failure.substitute == row.substitute());
    }
  }
  CHECK(failed == lost);
  return true;
}

void Simulation::run() {
  begin_epoch();
  while (thread_.turn(now_)) REQUIRE(events_ < 1000 * s_.samples);
  CHECK(decoders_.queued() == 0);
  CHECK(decoders_.reserve().waiting() == 0);
  CHECK(engine_.operations.empty());
  CHECK(engine_.held.empty());
  CHECK(thread_.held_bytes() == 0);
  CHECK(stopping_);
  if (s_.stop_after == SIZE_MAX) {
    CHECK(epochs_begun_ == s_.epochs);
    CHECK(delivered_ == batches());
    CHECK(epochs_whole_ + (s_.abandon_after < events_ ? 1 : 0) >= s_.epochs);
  }
}

}  // namespace ringfeed::pipeline
