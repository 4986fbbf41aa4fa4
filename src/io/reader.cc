#include "io/reader.h"

#include <algorithm>
#include <cerrno>
#include <ranges>
#include <utility>

#include "io/attempt.h"
#include "io/judge_end.h"
#include "io/read_errors.h"

namespace ringfeed::io {
namespace {

// Enough for what writers leave behind an EOI marker or IEND chunk.
constexpr std::size_t tail_bytes = 1024;
constexpr int most_interruptions = 16;
constexpr std::size_t most_named = 10;
constexpr std::chrono::milliseconds first_rest{50};
constexpr std::chrono::milliseconds longest_rest{5000};

/// What is open, or the file system that it is on, is gone: its name may lead to what has come in
/// its place. (ENOENT needs no such look: an open walks from "/" anyway.)
bool stale(int error) noexcept { return error == ESTALE || error == ENOTCONN; }

/// What a server that restarts, or a network for a moment without a way, answers with.
bool may_pass(int error) noexcept {
  return error == EIO || error == ESTALE || error == EAGAIN || error == ETIMEDOUT ||
         error == ENOTCONN;
}

}  // namespace

Reader::Reader(Engine& engine, Credits& credits, ReaderOptions options)
    : engine_(engine),
      credits_(credits),
      options_(std::move(options)),
      guess_(std::min(credits.capacity() / 2, reserve_bytes(options_.max_file_bytes))),
      depth_limit_(engine.slots()) {
  attempts_.reserve(engine.slots());
  for (std::uint32_t slot = 0; slot < engine.slots(); ++slot) {
    attempts_.push_back(std::make_unique<Attempt>(*this, slot));
  }
  for (std::uint32_t slot = engine.slots(); slot-- > 0;) free_slots_.push_back(slot);
}

Reader::~Reader() = default;

bool Reader::can_start() const noexcept {
  return waiting_.empty() && !depth_limit_.any_refused() && has_slot();
}

bool Reader::has_slot() const noexcept {
  return depth_limit_.allows(in_flight_) && !free_slots_.empty();
}

bool Reader::short_of_room() const noexcept { return credits_.growth_waits() || !waiting_.empty(); }

Reader::Read Reader::read(Clock::time_point now, std::uint64_t sequence, std::uint64_t file,
                          Buffer& buffer, bool to_end) {
  return Read(*this, now, sequence, file, buffer, to_end);
}

void Reader::start(Clock::time_point now, Read& read) {
  if (!has_slot()) {
    wait_for_slot(read);
    return;
  }
  Attempt& attempt = *attempts_[free_slots_.back()];
  free_slots_.pop_back();
  ++in_flight_;
  attempt.read = &read;
  attempt.sequence = read.sequence_;
  attempt.bytes = std::move(read.buffer_);
  attempt.used = 0;
  attempt.opened = attempt.waits = attempt.reopened = false;
  attempt.interruptions = 0;
  attempt.retries = 0;
  attempt.rest = first_rest;
  attempt.started = now;
  options_.path_of(read.file_, attempt.path);
  if (cancelled(attempt.sequence)) {
    end(attempt, given_up(attempt));
  } else if (attempt.used < attempt.bytes.size()) {
    issue(attempt);
  } else {
    grow(attempt);
  }
}

void Reader::wait_for_slot(Read& read) {
  waiting_.insert(std::ranges::upper_bound(waiting_, read.sequence_, {}, &Read::sequence_), &read);
}

bool Reader::make_slot(const Read& read) {
  while (!has_slot()) {
    Attempt* youngest = nullptr;
    for (const auto& attempt : attempts_) {
      if (attempt->state != Attempt::State::growing) continue;
      if (attempt->sequence < read.sequence_) continue;
      if (youngest == nullptr || attempt->sequence > youngest->sequence) youngest = attempt.get();
    }
    if (youngest == nullptr) return false;
    credits_.withdraw(*youngest);
    Read& displaced = release(*youngest);
    wait_for_slot(displaced);
  }
  return true;
}

/// Frees the slot and hands the bytes over to the read, which is returned.
Reader::Read& Reader::release(Attempt& attempt) {
  engine_.release(attempt.slot);
  free_slots_.push_back(attempt.slot);
  --in_flight_;
  depth_limit_.slot_freed();
  attempt.state = Attempt::State::idle;
  Read& read = *std::exchange(attempt.read, nullptr);
  read.buffer_ = std::move(attempt.bytes);
  return read;
}

void Reader::issue(Attempt& attempt) {
  attempt.state = Attempt::State::reading;
  const std::span<std::byte> room(attempt.bytes.data() + attempt.used,
                                  attempt.bytes.size() - attempt.used);
  attempt.asked = room.size();
  depth_limit_.operation_started(attempt.slot);
  if (attempt.opened) {
    engine_.read_more(attempt.slot, room, attempt.used);
  } else {
    attempt.opened = true;
    const auto begin = attempt.waits ? &Engine::wait_and_read : &Engine::open_and_read;
    (engine_.*begin)(attempt.slot, attempt.path.c_str(), room, attempt.used);
  }
}

void Reader::complete(Clock::time_point now, const Engine::Completion& completion) {
  Attempt& attempt = *attempts_[completion.slot];
  depth_limit_.operation_ended();
  auto result = completion.result >= 0
                    ? on_bytes(attempt, static_cast<std::size_t>(completion.result))
                    : on_error(now, attempt, completion.step, -completion.result);
  if (!result) return;
  if (options_.report && !cancelled(attempt.sequence)) {
    options_.report(
        {now - attempt.started, *result ? (*result)->size : 0, !*result, attempt.retries});
  }
  end(attempt, std::move(*result));
}

/// What the file has come to, unless the attempt goes on.
std::optional<Reader::Result> Reader::on_bytes(Attempt& attempt, std::size_t bytes) {
  attempt.used += bytes;
  const std::size_t used = attempt.used;
  if (cancelled(attempt.sequence)) {
    return given_up(attempt);
  }
  const std::size_t tail = std::min(used, tail_bytes);
  const bool believing = !attempt.read->to_end_;
  const bool clean = believing && bytes > 0 && bytes < attempt.asked &&
                     options_.ends_cleanly({attempt.bytes.data() + used - tail, tail});
  switch (judge_end({attempt.asked, bytes, used, attempt.bytes.size(), clean},
                    options_.max_file_bytes)) {
    case EndVerdict::too_large:
      return error(attempt, Stage::read, EFBIG, larger_than(options_.max_file_bytes),
                   Option::max_file_bytes);
    case EndVerdict::empty: {
      auto empty =
          error(attempt, Stage::read, 0,
                "0 bytes; empty or not a regular file; copy the file again or leave it out");
      empty.value().unidentified = true;
      return empty;
    }
    case EndVerdict::ended: return Encoded{used, true};
    case EndVerdict::believed: return Encoded{used, false};
    case EndVerdict::grow:
    case EndVerdict::read_on: break;
  }
  // What follows the image is not read, unless the decoder then misses data.
  const std::size_t image = believing ? options_.image_end({attempt.bytes.data(), used}) : 0;
  if (image > 0) return Encoded{image, false};
  if (used == attempt.bytes.size()) {
    grow(attempt);
  } else {
    issue(attempt);
  }
  return std::nullopt;
}

std::optional<Reader::Result> Reader::on_error(Clock::time_point now, Attempt& attempt,
                                               Engine::Step step, int code) {
  if (cancelled(attempt.sequence)) return given_up(attempt);
  // EAGAIN: somebody may hold the file. It is opened anew, by an open that waits.
  if ((code == EINTR && attempt.interruptions++ < most_interruptions) ||
      (code == EAGAIN && !std::exchange(attempt.waits, true))) {
    if (step == Engine::Step::open || code == EAGAIN) begin_anew(attempt);
    issue(attempt);
    return std::nullopt;
  }
  if (step == Engine::Step::open && DepthLimit::out_of_resources(code) &&
      depth_limit_.refused(attempt.slot, in_flight_)) {
    attempt.opened = false;
    attempt.state = Attempt::State::refused;
    return std::nullopt;
  }
  if (stale(code) && !std::exchange(attempt.reopened, true)) {
    begin_anew(attempt);
    issue(attempt);
    return std::nullopt;
  }
  if (may_pass(code) && attempt.retries < options_.retries) {
    ++attempt.retries;
    begin_anew(attempt);
    attempt.state = Attempt::State::resting;
    attempt.due = now + attempt.rest;
    attempt.rest = std::min(2 * attempt.rest, longest_rest);
    ++resting_;
    return std::nullopt;
  }
  const Stage stage = step == Engine::Step::open ? Stage::open : Stage::read;
  if (code == EMFILE || code == ENFILE) {
    return error(attempt, stage, code, "raise the limit (ulimit -n, fs.file-max)", Option::depth);
  }
  return error(attempt, stage, code,
               stage == Stage::open ? about_open(code) : about_read(code, attempt.used));
}

/// The next open may find another file: no byte of this one stays.
void Reader::begin_anew(Attempt& attempt) {
  attempt.opened = false;
  attempt.used = 0;
}

void Reader::grow(Attempt& attempt) {
  const std::size_t most = reserve_bytes(options_.max_file_bytes);
  attempt.wanted = std::min(most, std::max(2 * attempt.bytes.size(), guess_.bytes()));
  attempt.state = Attempt::State::growing;
  guess_.raise(attempt.wanted);  // before the next sample starts, not when this one is done
  credits_.request(attempt);
}

/// Ends the attempt, and with it its read.
void Reader::end(Attempt& attempt, Result result) {
  if (result) {
    attempt.bytes.shrink(result->size);
    guess_.learn(result->size);
    depth_limit_.file_read();
  }
  resume(release(attempt), std::move(result));
}

/// The read's coroutine goes on with `result`.
void Reader::resume(Read& read, Result result) {
  read.result_ = std::move(result);
  read.handle_.resume();
}

Reader::Clock::time_point Reader::next_retry() const noexcept {
  Clock::time_point next = Engine::for_ever;
  if (resting_ == 0) return next;
  for (const auto& attempt : attempts_) {
    if (attempt->state == Attempt::State::resting) next = std::min(next, attempt->due);
  }
  return next;
}

void Reader::retry_due(Clock::time_point now) {
  if (resting_ == 0) return;
  for (const auto& attempt : attempts_) {
    if (attempt->state != Attempt::State::resting || attempt->due > now) continue;
    --resting_;
    issue(*attempt);
  }
}

void Reader::serve(Clock::time_point now, std::uint64_t oldest) {
  retry_due(now);
  credits_.serve_growth(oldest);
  while (const auto slot = depth_limit_.next_retry()) issue(*attempts_[*slot]);
  // A file that waits to grow gives its slot to an older one: it may be the older one's bytes that
  // it waits for, and the reserve is the oldest's alone.
  while (!waiting_.empty() && make_slot(*waiting_.front())) {
    Read& read = *waiting_.front();
    waiting_.erase(waiting_.begin());
    start(now, read);
  }
  // One just started may have had to grow at once, and nothing else may be left to bring us back.
  credits_.serve_growth(oldest);
}

void Reader::cancel_before(std::uint64_t sequence) {
  cancelled_before_ = std::max(cancelled_before_, sequence);
  for (auto& attempt : attempts_) {
    if (attempt->state == Attempt::State::idle || !cancelled(attempt->sequence)) continue;
    if (attempt->state == Attempt::State::reading) {
      engine_.cancel(attempt->slot);
      continue;
    }
    if (attempt->state == Attempt::State::growing) {
      credits_.withdraw(*attempt);
    } else if (attempt->state == Attempt::State::resting) {
      --resting_;
    } else {
      depth_limit_.forget(attempt->slot);
    }
    end(*attempt, given_up(*attempt));
  }
}

tl::unexpected<Error> Reader::given_up(const Attempt& attempt) const {
  return error(attempt, attempt.opened ? Stage::read : Stage::open, ECANCELED, "no longer wanted");
}

tl::unexpected<Error> Reader::error(const Attempt& attempt, Stage stage, int code,
                                    std::string detail, Option option) const {
  std::string path = attempt.path;
  if (!options_.root.empty() && !path.starts_with('/')) {
    path.insert(0, options_.root.ends_with('/') ? options_.root : options_.root + '/');
  }
  return fail(stage, code, std::move(path), std::move(detail), option);
}

std::vector<std::string> Reader::outstanding(Clock::time_point now) const {
  std::vector<const Attempt*> busy;
  for (const auto& attempt : attempts_) {
    if (attempt->state != Attempt::State::idle) busy.push_back(attempt.get());
  }
  std::ranges::sort(busy, {}, &Attempt::sequence);
  std::vector<std::string> lines;
  for (const Attempt* attempt : busy | std::views::take(most_named)) {
    lines.push_back(since(attempt->path, now - attempt->started));
  }
  if (busy.size() > most_named) {
    lines.push_back("and " + std::to_string(busy.size() - most_named) + " more");
  }
  return lines;
}

}  // namespace ringfeed::io
