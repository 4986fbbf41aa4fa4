#include "pipeline/pipeline.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "base/thread_start.h"
#include "data/index.h"
#include "decode/file_format.h"
#include "io/open_engine.h"
#include "pipeline/epoch_run.h"
#include "pipeline/ticket.h"

namespace ringfeed::pipeline {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// How long stop() waits for reads in flight before it sets the loader aside.
constexpr std::chrono::seconds drain_limit{5};
// Samples whose return is worth a wake-up: their bytes are for new reads, or for files that wait to
// grow. (Waking for each while a file waits to grow cost 0.20 system calls an image, not 0.14.)
constexpr std::size_t refill = 32;
constexpr std::size_t refill_while_short = 8;
// Samples started before the ring is entered: cached files are read in there, and a decoder without
// work waits for the first of them.
constexpr std::size_t spawned_at_once = 32;
// While decoders wait for reads and the window is narrow, the reader thread looks how long.
constexpr std::chrono::microseconds nap{200};

}  // namespace

Pipeline::Pipeline(ImageFolder folder, TransformPlan transform, Settings resolved)
    : dataset(std::move(folder)),
      plan(transform),
      settings(std::move(resolved)),
      inbox_([this] { engine_->wake(); }),
      scope_(inbox_) {}

Pipeline::~Pipeline() {
  stop();
  decoders_.reset();  // joins: a worker may still be inside inbox_.retire()
}

bool Pipeline::forked() const noexcept {
  const pid_t started_in = pid_.load(relaxed);
  return started_in != 0 && started_in != ::getpid();
}

void Pipeline::start() {
  pid_.store(::getpid(), relaxed);
  decoders_ = std::make_unique<sample::DecodePool>(settings.num_workers, plan, settings.limits);
  auto started = std::make_shared<std::promise<void>>();
  auto done = std::make_shared<std::promise<void>>();
  reader_done_ = done->get_future();
  reader_thread_ = start_thread("rf-reader", [this, started, done] {
    reader_main(*started);
    done->set_value();
  });
  try {
    started->get_future().get();
  } catch (...) {
    reader_thread_.join();
    throw;
  }
  std::lock_guard current(current_mutex_);
  started_ = true;
}

void Pipeline::begin(std::shared_ptr<EpochRun> run) {
  std::lock_guard lock(stop_mutex_);
  if (stopping_) {
    run->channel.cancel();
    return;
  }
  if (!reader_thread_.joinable()) {
    try {
      start();
    } catch (const std::system_error& error) {  // no ring, where it was asked for, or no thread
      throw LoadError({Stage::setup, error.code().value(), {}, error.what()});
    }
  }
  std::shared_ptr<EpochRun> last;
  {
    std::lock_guard current(current_mutex_);
    if (broken_) std::rethrow_exception(broken_);
    last = current_.lock();
    current_ = run;
  }
  if (last != nullptr) {
    last->supersede();
    last->channel.free_batches();  // before the new epoch's are allocated: they are one bound
  }
  clock.start();
  inbox_.post([this, run] {
    reader_->cancel_before(sequences_.next());  // an abandoned epoch's reads would be waited for
    runs_.push_back(run);
  });
}

void Pipeline::reader_main(std::promise<void>& started) {
  try {
    make_engine();
    credits_ = std::make_unique<io::Credits>(settings.read_ahead_bytes,
                                             io::Reader::reserve_bytes(settings.max_file_bytes));
    io::ReaderOptions reader;
    reader.max_file_bytes = settings.max_file_bytes;
    reader.root = dataset.root();
    reader.path_of = [this](std::uint64_t file, std::string& out) {
      dataset.index().relative_path(static_cast<std::size_t>(file), out);
    };
    reader.ends_cleanly = decode::ends_cleanly;
    reader.report = [this](const io::ReadReport& report) {
      read_.record(report.latency, report.bytes, report.failed);
    };
    reader_ = std::make_unique<io::Reader>(*engine_, *credits_, std::move(reader));
    // Tiny files could fill the bytes with more samples than any latency needs.
    window_.emplace(settings.depth, settings.depth * samples_per_slot, decoders_->workers());
  } catch (...) {
    reader_.reset();
    engine_.reset();
    started.set_exception(std::current_exception());
    return;
  }
  started.set_value();
  try {
    loop();
  } catch (...) {
    // Out of memory in the reader or the kernel. Reads may still be in flight, so nothing can be
    // freed: the consumer is told and the loader set aside.
    inbox_.close();
    std::lock_guard current(current_mutex_);
    broken_ = std::current_exception();
    hung_ = true;
    if (auto run = current_.lock()) run->channel.cancel();
    return;
  }
  inbox_.close();
  reader_.reset();
  engine_.reset();
}

void Pipeline::rethrow_if_broken() const {
  std::lock_guard current(current_mutex_);
  if (broken_) std::rethrow_exception(broken_);
}

void Pipeline::make_engine() {
  const io::EngineOptions engine{static_cast<std::uint32_t>(settings.depth), dataset.root()};
  auto opened = io::open_engine(settings.reader, engine);
  engine_ = std::move(opened.engine);
  {
    std::lock_guard current(current_mutex_);
    refused_ = std::move(opened.note);
    reader_name_ = engine_->name();
    depth_ = static_cast<int>(engine_->slots());
  }
  note_engine();
}

void Pipeline::note_engine() {
  noted_ = engine_->note().size();
  std::lock_guard current(current_mutex_);
  const bool both = !refused_.empty() && noted_ > 0;
  reader_note_ = refused_ + (both ? "; " : "") + engine_->note();
}

void Pipeline::loop() {
  for (;;) {
    now_ = io::Reader::Clock::now();
    for (const auto& completion : completions_) reader_->complete(now_, completion);
    inbox_.take(finished_, calls_);
    for (const auto handle : finished_) scope_.collect(handle);
    for (const auto& call : calls_) call();
    const bool stopping = stopping_;
    if (stopping) {
      for (const auto& run : runs_) run->channel.cancel();
      reader_->cancel_before(UINT64_MAX);
    }
    reader_->serve(now_, sequences_.oldest());
    for (const auto& run : runs_) run->channel.resume_cells();
    const bool watching = !stopping && watch_window();
    const bool more = spawn_samples();
    update_gauges();
    reads_out_ = reader_->in_flight() > 0;
    if (stopping && scope_.size() == 0) break;

    completions_.clear();
    std::size_t held = reader_->unfinished();
    for (const auto& run : runs_) held += run->channel.waiting();
    const std::size_t wake_after =
        stopping ? 1
                 : scope_.wake_after(held, reader_->short_of_room() ? refill_while_short : refill);
    auto until = io::Engine::at_once;
    if (!more && inbox_.prepare_to_sleep(wake_after)) {
      until = watching ? now_ + nap : io::Engine::for_ever;
    }
    engine_->poll(until, completions_);
  }
  // Both own runs, and those the pipeline.
  runs_.clear();
  calls_.clear();
}

/// Opens the window if it is time. True: decoders wait for reads, or are about to, and it may soon
/// be.
bool Pipeline::watch_window() {
  if (window_->open()) return false;
  // Blocked counts too while a read is out: where samples wait for a place, it may be that read's
  // sample that their batch waits for.
  using Idle = sample::DecodePool::Idle;
  const auto idle = decoders_->idle_time(Idle::starved) + decoders_->idle_time(Idle::blocked);
  window_->note(now_, reads_out_ ? idle - idle_noted_ : ReadAheadWindow::Clock::duration{0});
  idle_noted_ = idle;
  return !window_->open() && reader_->in_flight() > 0 && decoders_->queued() == 0;
}

/// True: there may be more to start at once.
bool Pipeline::spawn_samples() {
  // All but the current run are over; they go when no sample of theirs waits for a place.
  if (runs_.empty() || stopping_) return false;
  const std::shared_ptr<EpochRun> run = runs_.back();
  std::erase_if(runs_,
                [&](const auto& other) { return other != run && other->channel.waiting() == 0; });
  std::size_t spawned = 0;
  while (!run->channel.cancelled() && scope_.size() < window_->size() && reader_->can_start() &&
         run->queue.ready()) {
    if (spawned++ == spawned_at_once) return true;
    io::Buffer buffer = credits_->try_acquire(reader_->guess());
    if (!buffer) break;
    scope_.spawn(load_sample(*this, run, run->queue.pop(), Ticket(sequences_, std::move(buffer))));
  }
  return false;
}

void Pipeline::update_gauges() {
  if (engine_->note().size() != noted_) note_engine();
  std::size_t waiting = 0;
  for (const auto& run : runs_) waiting += run->channel.waiting();
  using Idle = sample::DecodePool::Idle;
  Idle reason = Idle::finished;
  if (waiting > 0) {
    reason = Idle::blocked;
  } else if (reader_->in_flight() > 0) {
    reason = Idle::starved;
  } else if (!runs_.empty() && !runs_.back()->channel.cancelled()) {
    SampleQueue& queue = runs_.back()->queue;
    // Nothing announced and no end either: the consumer keeps the order waiting.
    reason = queue.ready() ? Idle::starved : !queue.closed() ? Idle::blocked : Idle::finished;
  }
  decoders_->set_idle_reason(reason);
  in_flight_.store(reader_->in_flight(), relaxed);
  encoded_ready_.store(waiting, relaxed);
  read_ahead_peak_.store(credits_->peak(), relaxed);
  guess_.store(reader_->guess(), relaxed);
}

void Pipeline::stop() {
  if (forked()) return;  // the parent's threads are not the child's to stop
  std::lock_guard lock(stop_mutex_);
  stopping_ = true;
  {
    std::lock_guard current(current_mutex_);
    if (auto run = current_.lock()) run->channel.cancel();
  }
  clock.stop();
  if (!reader_thread_.joinable()) return;
  inbox_.notify();
  const auto limit = hung_ ? std::chrono::seconds(0) : drain_limit;
  if (reader_done_.wait_for(limit) == std::future_status::ready) {
    reader_thread_.join();
    std::lock_guard current(current_mutex_);
    hung_ = broken_ != nullptr;
  } else if (!hung_.exchange(true)) {
    std::string files;
    for (const auto& line : outstanding().value_or(std::vector<std::string>{"?"})) {
      files += "\n  " + line;
    }
    std::fprintf(stderr, "ringfeed: these reads hang; the loader is set aside:%s\n", files.c_str());
  }
}

void Pipeline::quarantine(std::shared_ptr<Pipeline> pipeline) {
  // Never destroyed, not even at exit: the kernel may still write to these buffers.
  static auto* const kept = new std::vector<std::shared_ptr<Pipeline>>;
  static auto* const mutex = new std::mutex;
  if (!pipeline->forked() && pipeline->reader_thread_.joinable()) pipeline->reader_thread_.detach();
  std::lock_guard lock(*mutex);
  kept->push_back(std::move(pipeline));
}

std::optional<std::vector<std::string>> Pipeline::outstanding() {
  auto answer = std::make_shared<std::promise<std::vector<std::string>>>();
  auto files = answer->get_future();
  inbox_.post([this, answer] { answer->set_value(reader_->outstanding(now_)); });
  if (files.wait_for(std::chrono::seconds(1)) != std::future_status::ready) return std::nullopt;
  try {
    return files.get();
  } catch (const std::future_error&) {
    return std::nullopt;  // the reader thread has ended, the question unread
  }
}

Stats Pipeline::stats() const {
  Stats stats;
  stats.read = read_.snapshot();
  stats.decode = decoded_.snapshot();
  stats.deliver = delivered.snapshot();
  stats.files_in_flight = in_flight_.load(relaxed);
  stats.encoded_ready = encoded_ready_.load(relaxed);
  stats.read_ahead_bytes_peak = read_ahead_peak_.load(relaxed);
  stats.size_guess = guess_.load(relaxed);
  stats.wall_seconds = clock.seconds();
  stats.workers = settings.num_workers;
  std::lock_guard current(current_mutex_);
  stats.depth = depth_;
  stats.reader = reader_name_;
  stats.reader_note = reader_note_;
  if (const auto run = current_.lock()) stats.batches_ready = run->channel.ready();
  if (started_) {
    stats.workers = decoders_->workers();
    stats.decode_queue = decoders_->queued();
    stats.steals = decoders_->steals();
    using Seconds = std::chrono::duration<double>;
    stats.starved_seconds =
        Seconds(decoders_->idle_time(sample::DecodePool::Idle::starved)).count();
    stats.blocked_seconds =
        Seconds(decoders_->idle_time(sample::DecodePool::Idle::blocked)).count();
  }
  return stats;
}

}  // namespace ringfeed::pipeline
