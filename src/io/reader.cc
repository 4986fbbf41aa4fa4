#include "io/reader.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace ringfeed::io {
namespace {

// Enough for what writers leave behind an EOI marker or IEND chunk.
constexpr std::size_t tail_bytes = 1024;
constexpr int most_interruptions = 16;
// Files read without a refusal before one more is tried at once.
constexpr std::size_t calm_enough = 64;

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS ||
         error == EAGAIN;
}

}  // namespace

/// One try at one file: owns its slot from the open to the last completion, and lends the sample's
/// buffer to the engine meanwhile.
struct Reader::Attempt final : Credits::Growth {
  Attempt(Reader& r, std::uint32_t s) : reader(r), slot(s) {}
  void granted() override { reader.issue(*this); }

  Reader& reader;
  std::uint32_t slot;
  Read* read = nullptr;  // null: slot free
  std::string path;
  std::size_t asked = 0;
  bool opened = false;
  bool growing = false;
  int interruptions = 0;
  Clock::time_point started;
};

Reader::Reader(Engine& engine, Credits& credits, ReaderOptions options)
    : engine_(engine),
      credits_(credits),
      options_(std::move(options)),
      guess_(std::min(credits.capacity() / 2, reserve_bytes(options_.max_file_bytes))),
      depth_(engine.slots()) {
  attempts_.reserve(depth_);
  for (std::uint32_t slot = 0; slot < depth_; ++slot) {
    attempts_.push_back(std::make_unique<Attempt>(*this, slot));
  }
  for (std::uint32_t slot = engine.slots(); slot-- > 0;) free_slots_.push_back(slot);
}

Reader::~Reader() = default;

bool Reader::can_start() const noexcept {
  return waiting_.empty() && parked_.empty() && has_slot();
}

bool Reader::has_slot() const noexcept { return in_flight_ < depth_ && !free_slots_.empty(); }

bool Reader::hungry() const noexcept { return credits_.growth_waits() || !waiting_.empty(); }

Reader::Read Reader::read(std::uint64_t sequence, std::uint64_t file, Buffer& buffer,
                          std::size_t offset) {
  return Read(*this, sequence, file, buffer, offset);
}

void Reader::start(Read& read) {
  if (!has_slot()) {
    wait_for_slot(read);
    return;
  }
  Attempt& attempt = *attempts_[free_slots_.back()];
  free_slots_.pop_back();
  ++in_flight_;
  attempt.read = &read;
  attempt.sequence = read.sequence_;
  attempt.buffer = &read.buffer_;
  attempt.used = read.offset_;
  attempt.opened = false;
  attempt.interruptions = 0;
  attempt.started = Clock::now();
  options_.path_of(read.file_, attempt.path);
  if (cancelled(attempt.sequence)) {
    finish(attempt, tl::unexpected(error(attempt, Stage::open, ECANCELED, "no longer wanted")));
  } else if (attempt.used < attempt.buffer->size()) {
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
      if (!attempt->growing || attempt->sequence < read.sequence_) continue;
      if (youngest == nullptr || attempt->sequence > youngest->sequence) youngest = attempt.get();
    }
    if (youngest == nullptr) return false;
    credits_.withdraw(*youngest);
    Read& displaced = release(*youngest);
    displaced.offset_ = youngest->used;
    wait_for_slot(displaced);
  }
  return true;
}

Reader::Read& Reader::release(Attempt& attempt) {
  engine_.release(attempt.slot);
  free_slots_.push_back(attempt.slot);
  --in_flight_;
  ++releases_;
  attempt.growing = false;
  return *std::exchange(attempt.read, nullptr);
}

void Reader::issue(Attempt& attempt) {
  attempt.growing = false;
  const std::span<std::byte> room(attempt.buffer->data() + attempt.used,
                                  attempt.buffer->size() - attempt.used);
  attempt.asked = room.size();
  alone_ = operations_ == 0 ? &attempt : nullptr;
  ++operations_;
  if (attempt.opened) {
    engine_.read_more(attempt.slot, room, attempt.used);
  } else {
    attempt.opened = true;
    engine_.open_and_read(attempt.slot, attempt.path.c_str(), room, attempt.used);
  }
}

void Reader::complete(const Engine::Completion& completion) {
  Attempt& attempt = *attempts_[completion.slot];
  --operations_;
  if (completion.result >= 0) {
    on_bytes(attempt, static_cast<std::size_t>(completion.result));
  } else {
    on_error(attempt, completion.step, -completion.result);
  }
}

void Reader::on_bytes(Attempt& attempt, std::size_t bytes) {
  attempt.used += bytes;
  const std::size_t used = attempt.used;
  if (cancelled(attempt.sequence)) {
    finish(attempt, tl::unexpected(error(attempt, Stage::read, ECANCELED, "no longer wanted")));
  } else if (used > options_.max_file_bytes) {
    finish(attempt, tl::unexpected(error(
                        attempt, Stage::read, EFBIG,
                        "larger than max_file_bytes = " + std::to_string(options_.max_file_bytes) +
                            "; raise it or leave the file out")));
  } else if (bytes == 0) {
    if (used == 0) {
      finish(attempt, tl::unexpected(error(attempt, Stage::read, 0,
                                           "0 bytes; empty or not a regular file; copy the file "
                                           "again or leave it out")));
    } else {
      finish(attempt, Encoded{used, true});
    }
  } else if (used == attempt.buffer->size()) {
    grow(attempt);
  } else {
    // Short, so perhaps the end. A file system may also hand out what it has before an error, so
    // bytes without a clean end are believed only after a read that returns 0.
    const std::size_t tail = std::min(used, tail_bytes);
    if (bytes < attempt.asked &&
        options_.ends_cleanly({attempt.buffer->data() + used - tail, tail})) {
      finish(attempt, Encoded{used, false});
    } else {
      issue(attempt);
    }
  }
}

void Reader::on_error(Attempt& attempt, Engine::Step step, int code) {
  if (!cancelled(attempt.sequence)) {
    if (code == EINTR && attempt.interruptions++ < most_interruptions) {
      if (step == Engine::Step::open) attempt.opened = false;
      issue(attempt);
      return;
    }
    // Others hold what this one lacks: go shallower and try again when one of them is done. Files
    // that wait to grow do not count: they may be waiting for this one's bytes.
    if (step == Engine::Step::open && out_of_resources(code) && alone_ != &attempt) {
      attempt.opened = false;
      parked_.push_back(&attempt);
      releases_ = calm_ = 0;
      depth_ = std::max<std::size_t>(1, in_flight_ - parked_.size());
      return;
    }
  }
  const Stage stage = step == Engine::Step::open ? Stage::open : Stage::read;
  std::string detail = "after " + std::to_string(attempt.used) + " bytes";
  if (cancelled(attempt.sequence)) {
    detail = "no longer wanted";
  } else if (code == EMFILE || code == ENFILE) {
    detail = "raise the limit (ulimit -n, fs.file-max) or lower depth";
  } else if (stage == Stage::open) {
    detail = "check that the file exists and may be read";
  }
  finish(attempt, tl::unexpected(error(attempt, stage, code, std::move(detail))));
}

void Reader::grow(Attempt& attempt) {
  const std::size_t most = reserve_bytes(options_.max_file_bytes);
  attempt.wanted = std::min(most, std::max(2 * attempt.buffer->size(), guess_.bytes()));
  attempt.growing = true;
  guess_.raise(attempt.wanted);  // before the next sample starts, not when this one is done
  credits_.request(attempt);
}

void Reader::finish(Attempt& attempt, Expected<Encoded> result) {
  if (result) {
    attempt.buffer->shrink(result->size);
    guess_.learn(result->size);
    if (depth_ < attempts_.size() && parked_.empty() && ++calm_ >= calm_enough) {
      ++depth_;
      calm_ = 0;
    }
  }
  if (options_.report && !cancelled(attempt.sequence)) {
    options_.report({Clock::now() - attempt.started, result ? result->size : 0, !result});
  }
  Read& read = release(attempt);
  read.result_ = std::move(result);
  read.handle_.resume();
}

void Reader::serve(std::uint64_t oldest) {
  credits_.serve_growth(oldest);
  while (!parked_.empty() && (releases_ > 0 || operations_ == 0)) {
    Attempt& attempt = *parked_.front();
    parked_.erase(parked_.begin());
    if (releases_ > 0) --releases_;
    issue(attempt);
  }
  // A file that waits to grow gives its slot to an older one: it may be the older one's bytes that
  // it waits for, and the reserve is the oldest's alone.
  while (!waiting_.empty() && make_slot(*waiting_.front())) {
    Read& read = *waiting_.front();
    waiting_.erase(waiting_.begin());
    start(read);
  }
  // One just started may have had to grow at once, and nothing else may be left to bring us back.
  credits_.serve_growth(oldest);
}

void Reader::cancel_before(std::uint64_t sequence) {
  cancelled_before_ = std::max(cancelled_before_, sequence);
  for (auto& attempt : attempts_) {
    if (attempt->read == nullptr || !cancelled(attempt->sequence)) continue;
    const bool parked = std::erase(parked_, attempt.get()) > 0;
    if (attempt->growing) credits_.withdraw(*attempt);
    if (parked || attempt->growing) {
      finish(*attempt, tl::unexpected(error(*attempt, Stage::read, ECANCELED, "no longer wanted")));
    } else {
      engine_.cancel(attempt->slot);
    }
  }
}

Error Reader::error(const Attempt& attempt, Stage stage, int code, std::string detail) const {
  std::string path = attempt.path;
  if (!options_.root.empty() && !path.starts_with('/')) {
    path.insert(0, options_.root.ends_with('/') ? options_.root : options_.root + '/');
  }
  return {stage, code, std::move(path), std::move(detail)};
}

std::vector<std::string> Reader::outstanding() const {
  std::vector<const Attempt*> busy;
  for (const auto& attempt : attempts_) {
    if (attempt->read != nullptr) busy.push_back(attempt.get());
  }
  std::ranges::sort(busy, {}, &Attempt::sequence);
  std::vector<std::string> lines;
  const auto now = Clock::now();
  for (const Attempt* attempt : busy) {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, " (%.1f s)",
                  std::chrono::duration<double>(now - attempt->started).count());
    lines.push_back(attempt->path + seconds);
  }
  return lines;
}

}  // namespace ringfeed::io
