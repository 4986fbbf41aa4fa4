#include "pipeline/reader_thread.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "data/index.h"
#include "decode/file_format.h"
#include "decode/image_end.h"

namespace ringfeed::pipeline {
namespace {

using Idle = sample::Decoders::Idle;

constexpr auto relaxed = std::memory_order_relaxed;

// Samples whose return is worth a wake-up: their bytes are for new reads, or for files that wait to
// grow. (Waking for each while a file waits to grow cost 0.20 system calls an image, not 0.14.)
constexpr std::size_t refill = 32;
constexpr std::size_t refill_while_short = 8;
// Samples started before the ring is entered: cached files are read in there, and a decoder without
// work waits for the first of them.
constexpr std::size_t spawned_at_once = 32;
// While decoders wait for reads and the window is narrow, the thread looks this often how long.
constexpr std::chrono::microseconds look_again{200};

}  // namespace

ReaderThread::ReaderThread(const Parts& parts)
    : parts_(parts),
      credits_(parts.settings.read_ahead_bytes,
               io::Reader::reserve_bytes(parts.settings.max_file_bytes)),
      reader_(parts.engine, credits_, reader_options()),
      // Tiny files could fill the bytes with more samples than any latency needs.
      window_(parts.settings.depth, parts.settings.depth * samples_per_slot,
              parts.decoders.workers()),
      scope_(parts.inbox) {
  publish();
}

io::ReaderOptions ReaderThread::reader_options() const {
  io::ReaderOptions options;
  options.max_file_bytes = parts_.settings.max_file_bytes;
  options.retries = parts_.settings.retries;
  options.root = parts_.dataset.root();
  options.path_of = [&dataset = parts_.dataset](std::uint64_t file, std::string& out) {
    dataset.index().relative_path(static_cast<std::size_t>(file), out);
  };
  options.ends_cleanly = decode::ends_cleanly;
  options.image_end = decode::image_end;
  options.report = [&published = parts_.published](const io::ReadReport& report) {
    published.read.record(report.latency, report.bytes, report.failed);
    published.retries.fetch_add(static_cast<std::uint64_t>(report.retries), relaxed);
  };
  return options;
}

bool ReaderThread::turn(Clock::time_point now) {
  now_ = now;
  for (const auto& completion : completions_) reader_.complete(now_, completion);
  completions_.clear();
  take_posts();
  // After the inbox: one set since leaves its notification there, and the engine is not slept in.
  const bool stop = stopping();
  if (stop) {
    for (const auto& epoch : epochs_) epoch->channel.cancel();
    reader_.cancel_before(UINT64_MAX);
  }
  give_up_abandoned();
  reader_.serve(now_, sequences_.oldest());
  for (const auto& epoch : epochs_) epoch->channel.resume_cells();
  const bool watching = !stop && watch_window();
  const bool more = spawn_samples();
  close_files_at_rest();
  set_idle_reason();
  publish();
  reading_last_turn_ = reader_.in_flight() > 0;
  if (stop && scope_.size() == 0) return false;
  parts_.engine.poll(more ? io::Engine::at_once : wake_time(watching), completions_);
  return true;
}

/// Else an epoch that nobody waits for would go on trying files again, and others in their place.
void ReaderThread::give_up_abandoned() {
  if (gave_up_ || epochs_.empty() || !epochs_.back()->channel.cancelled()) return;
  gave_up_ = true;
  reader_.cancel_before(sequences_.next());
}

void ReaderThread::take_posts() {
  parts_.inbox.take(finished_, calls_);
  for (const auto handle : finished_) scope_.collect(handle);
  for (const auto& call : calls_) call();
}

void ReaderThread::begin(std::shared_ptr<EpochLink> epoch) {
  reader_.cancel_before(sequences_.next());  // an abandoned epoch's reads would be waited for
  gave_up_ = false;
  epochs_.push_back(std::move(epoch));
}

/// Opens the window if it is time. True: decoders wait for reads, or are about to, and it may soon
/// be.
bool ReaderThread::watch_window() {
  if (window_.open()) return false;
  const sample::Decoders& decoders = parts_.decoders;
  const auto idle = decoders.idle_time(Idle::starved);
  window_.note(now_, reading_last_turn_ ? idle - idle_noted_ : Clock::duration{0});
  idle_noted_ = idle;
  return !window_.open() && reader_.in_flight() > 0 && decoders.queued() == 0;
}

/// True: there may be more to start at once.
bool ReaderThread::spawn_samples() {
  if (epochs_.empty() || stopping()) return false;
  // All but the current epoch are over; they go when no sample of theirs waits for a cell.
  const std::shared_ptr<EpochLink> epoch = epochs_.back();
  std::erase_if(epochs_,
                [&](const auto& other) { return other != epoch && other->channel.waiting() == 0; });
  std::size_t spawned = 0;
  while (!epoch->channel.cancelled() && scope_.size() < window_.size() && reader_.can_start() &&
         epoch->queue.ready()) {
    if (spawned++ == spawned_at_once) return true;
    io::Buffer buffer = credits_.try_acquire(reader_.guess());
    if (!buffer) break;
    scope_.spawn(
        load_sample(*this, epoch, epoch->queue.pop(), Ticket(sequences_, std::move(buffer))));
  }
  return false;
}

/// Between epochs no file stays open, so that the storage can be unmounted. A sample that reads
/// once more (another file in place of one that failed, what follows an end that was believed) ends
/// the rest, and brings another.
void ReaderThread::close_files_at_rest() {
  const bool rests = reader_.unfinished() == 0 && nothing_to_start();
  if (rests && !at_rest_) parts_.engine.close_files();
  at_rest_ = rests;
}

bool ReaderThread::nothing_to_start() {
  if (epochs_.empty() || epochs_.back()->channel.cancelled()) return true;
  SampleQueue& queue = epochs_.back()->queue;
  return queue.closed() && !queue.ready();  // in this order: the last batch comes before the end
}

/// Samples that have been read and wait for a cell.
std::size_t ReaderThread::waiting() const noexcept {
  std::size_t count = 0;
  for (const auto& epoch : epochs_) count += epoch->channel.waiting();
  return count;
}

/// The consumer is to blame only while a batch is there for it to take. A batch that completes
/// wakes this thread by the last of its samples, which comes home then.
void ReaderThread::set_idle_reason() { parts_.decoders.set_idle_reason(idle_reason()); }

sample::Decoders::Idle ReaderThread::idle_reason() {
  if (epochs_.empty() || epochs_.back()->channel.cancelled()) {
    return reader_.in_flight() > 0 ? Idle::starved : Idle::finished;
  }
  if (parts_.decoders.reserve().waiting() > 0) return Idle::finished;  // others decode huge images
  EpochLink& epoch = *epochs_.back();
  const bool room_lacks = waiting() > 0;  // in the open batches
  if (room_lacks && epoch.channel.batch_waits()) return Idle::blocked;
  if (reader_.in_flight() > 0) return Idle::starved;
  if (room_lacks) return Idle::finished;
  const bool closed = epoch.queue.closed();  // asked first: the last batch comes before the end
  if (epoch.queue.ready()) return Idle::starved;
  if (closed) return Idle::finished;
  return epoch.channel.batch_waits() ? Idle::blocked : Idle::unordered;
}

void ReaderThread::publish() {
  Published& published = parts_.published;
  const std::string& note = parts_.engine.note();
  if (note.size() != noted_) {
    noted_ = note.size();
    published.set_engine_note(note);
  }
  published.files_in_flight.store(reader_.in_flight(), relaxed);
  published.encoded_ready.store(waiting(), relaxed);
  published.read_ahead_peak.store(credits_.peak(), relaxed);
  published.size_guess.store(reader_.guess(), relaxed);
}

/// Until when to sleep, if nothing comes before.
ReaderThread::Clock::time_point ReaderThread::wake_time(bool watching) {
  const std::size_t held = reader_.unfinished() + waiting();
  const std::size_t wake_after =
      stopping() ? 1
                 : scope_.wake_after(held, reader_.short_of_room() ? refill_while_short : refill);
  if (!parts_.inbox.prepare_to_sleep(wake_after)) return io::Engine::at_once;
  const Clock::time_point retry = reader_.next_retry();
  return watching ? std::min(retry, now_ + look_again) : retry;
}

}  // namespace ringfeed::pipeline
