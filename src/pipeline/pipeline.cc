#include "pipeline/pipeline.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <new>
#include <string>
#include <system_error>
#include <utility>

#include "base/out_of_memory.h"
#include "base/thread_start.h"
#include "decode/jpeg/entropy/backend.h"
#include "decode/jpeg/pixels/backend.h"
#include "io/open_engine.h"

namespace ringfeed::pipeline {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// How long stop() waits for reads in flight before it sets the loader aside.
constexpr std::chrono::seconds drain_limit{5};

/// What ends the reader thread, with more words than std::bad_alloc has.
std::exception_ptr explained(std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const std::bad_alloc&) {
    return std::make_exception_ptr(OutOfMemory(
        std::string("the thread that reads found no memory for its bookkeeping; lower {}, or ") +
            OutOfMemory::raise_the_limit,
        {Option::depth}));
  } catch (...) {
    return failure;
  }
}

}  // namespace

/// A list that tells leak checkers which pipelines are meant to be there. Entries stay in it.
struct Pipeline::SetAside {
  std::atomic<Pipeline*> pipeline{nullptr};  // null again once it has been freed
  SetAside* before = nullptr;
};

Pipeline::Pipeline(ImageFolder folder, std::vector<TransformPlan> transforms, Settings resolved)
    : dataset(std::move(folder)),
      plans(std::move(transforms)),
      settings(std::move(resolved)),
      set_aside_(new SetAside),
      inbox_([this] { engine_->wake(); }) {}

Pipeline::~Pipeline() {
  stop();
  decoders_.reset();  // joins: a worker may still be inside inbox_.retire()
  if (set_aside_->pipeline.exchange(nullptr) == nullptr) delete set_aside_;
}

bool Pipeline::forked() const noexcept {
  const pid_t started_in = pid_.load(relaxed);
  return started_in != 0 && started_in != ::getpid();
}

void Pipeline::start() {
  pid_.store(::getpid(), relaxed);
  {
    const MutexLock end(end_mutex_);
    reader_has_ended_ = false;
  }
  decoders_ = std::make_unique<sample::DecodePool>(settings.num_workers, plans, settings.limits);
  auto started = std::make_shared<std::promise<void>>();
  auto done = std::make_shared<std::promise<void>>();
  thread_done_ = done->get_future();
  thread_ = start_thread("rf-reader", [this, started, done] {
    const bool drained = reader_main(*started);
    const std::shared_ptr<Pipeline> last = drained ? end_of_reader() : nullptr;
    done->set_value();
  });
  try {
    started->get_future().get();
  } catch (...) {
    thread_.join();
    throw;
  }
  const MutexLock current(current_mutex_);
  started_ = true;
}

EpochRun::Parts Pipeline::epoch_parts() {
  return {.dataset = dataset,
          .plans = plans,
          .settings = settings,
          .published = published_,
          .begin = [this](const std::shared_ptr<EpochLink>& epoch) { begin(epoch); },
          .notify = [this] { inbox_.notify(); },
          .outstanding = [this] { return outstanding(); },
          .memory_room = [] { return memory_room(); }};
}

/// Starts the threads on the first call and makes `epoch` the current one. Consumer thread.
void Pipeline::begin(const std::shared_ptr<EpochLink>& epoch) {
  const MutexLock lock(stop_mutex_);
  if (stopping_) {
    epoch->channel.cancel();
    return;
  }
  if (!thread_.joinable()) {
    try {
      start();
    } catch (const std::system_error& error) {  // no ring, where it was asked for, or no thread
      throw LoadError(cannot_start(error));
    } catch (const OutOfMemory&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw OutOfMemory("no memory for " + std::to_string(settings.num_workers) +
                            " threads that decode; lower {}, or " + OutOfMemory::raise_the_limit,
                        {Option::num_workers});
    }
  }
  std::shared_ptr<EpochLink> last;
  {
    const MutexLock current(current_mutex_);
    if (broken_) std::rethrow_exception(broken_);
    last = current_.lock();
    current_ = epoch;
  }
  if (last != nullptr) {
    last->superseded = true;
    last->channel.cancel();
    last->channel.free_batches();  // before the new epoch's are allocated: they are one bound
  }
  published_.run_clock.start();
  inbox_.post([this, epoch] { reader_thread_->begin(epoch); });
}

/// True: nothing is under way any more, and what reads is freed.
bool Pipeline::reader_main(std::promise<void>& started) {
  try {
    auto opened = io::open_engine(settings.reader,
                                  {static_cast<std::uint32_t>(settings.depth), dataset.root()});
    engine_ = std::move(opened.engine);
    reader_thread_ = std::make_unique<ReaderThread>(ReaderThread::Parts{
        *engine_, inbox_, *decoders_, dataset, settings, published_, stopping_});
    const MutexLock current(current_mutex_);
    ring_refused_ = std::move(opened.note);
    engine_name_ = engine_->name();
    depth_ = static_cast<int>(engine_->slots());
  } catch (...) {
    reader_thread_.reset();
    engine_.reset();
    started.set_exception(std::current_exception());
    return true;
  }
  started.set_value();
  try {
    while (reader_thread_->turn(ReaderThread::Clock::now())) {
    }
  } catch (...) {
    // Out of memory in the reader or the kernel. Reads may still be in flight, so nothing can be
    // freed: the consumer is told and the loader set aside.
    inbox_.close();
    const std::exception_ptr failure = explained(std::current_exception());
    const MutexLock current(current_mutex_);
    broken_ = failure;
    hung_ = true;
    if (auto epoch = current_.lock()) epoch->channel.cancel(broken_);
    return false;
  }
  inbox_.close();
  reader_thread_.reset();
  engine_.reset();
  return true;
}

void Pipeline::stop() {
  if (forked()) return;  // the parent's threads are not the child's to stop
  const MutexLock lock(stop_mutex_);
  stopping_ = true;
  {
    const MutexLock current(current_mutex_);
    if (auto epoch = current_.lock()) epoch->channel.cancel();
  }
  published_.run_clock.stop();
  if (!thread_.joinable()) return;
  inbox_.notify();
  const auto limit = hung_ ? std::chrono::seconds(0) : drain_limit;
  if (thread_done_.wait_for(limit) == std::future_status::ready) {
    thread_.join();
    const MutexLock current(current_mutex_);
    hung_ = broken_ != nullptr;
  } else if (!hung_.exchange(true)) {
    std::string files;
    try {
      for (const auto& line : outstanding().value_or(std::vector<std::string>{"?"})) {
        files += "\n  " + line;
      }
    } catch (const std::bad_alloc&) {  // they go unnamed
    }
    std::fprintf(stderr, "ringfeed: these reads hang; the loader is set aside:%s\n", files.c_str());
  }
}

void Pipeline::quarantine(std::shared_ptr<Pipeline> pipeline) noexcept {
  // It holds itself, because the kernel may still write to its buffers, even at exit.
  static std::atomic<SetAside*> all{nullptr};
  Pipeline& kept = *pipeline;
  const auto list = [&kept] {
    kept.set_aside_->pipeline = &kept;
    kept.set_aside_->before = all.exchange(kept.set_aside_);
  };
  if (kept.forked()) {  // any lock may be locked for ever
    list();
    kept.itself_in_child_ = std::move(pipeline);
    return;
  }
  {
    const MutexLock lock(kept.stop_mutex_);
    if (kept.thread_.joinable()) kept.thread_.detach();
  }
  const MutexLock end(kept.end_mutex_);
  if (kept.reader_has_ended_) return;  // answered meanwhile: `pipeline` frees it, if it is the last
  list();
  kept.itself_ = std::move(pipeline);  // with the lock the reader thread gets it, and may free it
}

/// The reads that it was set aside for have been answered: what is returned frees it.
std::shared_ptr<Pipeline> Pipeline::end_of_reader() {
  const MutexLock lock(end_mutex_);
  reader_has_ended_ = true;
  return std::move(itself_);
}

/// The files being read, oldest first; nothing where the reader thread does not answer.
std::optional<std::vector<std::string>> Pipeline::outstanding() {
  auto answer = std::make_shared<std::promise<std::vector<std::string>>>();
  auto files = answer->get_future();
  inbox_.post([this, answer] { answer->set_value(reader_thread_->outstanding()); });
  if (files.wait_for(std::chrono::seconds(1)) != std::future_status::ready) return std::nullopt;
  try {
    return files.get();
  } catch (const std::future_error&) {
    return std::nullopt;  // the reader thread has ended, the question unread
  }
}

Stats Pipeline::stats() const {
  Stats stats;
  stats.read = published_.read.snapshot();
  stats.decode = published_.decoded.snapshot();
  stats.deliver = published_.delivered.snapshot();
  stats.files_in_flight = published_.files_in_flight.load(relaxed);
  stats.encoded_ready = published_.encoded_ready.load(relaxed);
  stats.read_ahead_bytes_peak = published_.read_ahead_peak.load(relaxed);
  stats.size_guess = published_.size_guess.load(relaxed);
  stats.retries = published_.retries.load(relaxed);
  stats.skipped = published_.skipped.load(relaxed);
  stats.replaced = published_.replaced.load(relaxed);
  stats.wall_seconds = published_.run_clock.seconds();
  stats.workers = settings.num_workers;
  const MutexLock current(current_mutex_);
  stats.depth = depth_;
  stats.prefetch_factor = static_cast<int>(settings.prefetch_factor);
  stats.read_ahead_bytes = settings.read_ahead_bytes;
  const decode::EntropyChoice& entropy = decode::entropy_choice();
  stats.entropy = to_string(entropy.backend);
  stats.entropy_note = entropy.why;
  const decode::PixelChoice& pixels = decode::pixel_choice();
  stats.pixels = to_string(pixels.backend);
  stats.pixels_note = pixels.why;
  stats.reader = engine_name_;
  stats.reader_note = ring_refused_;
  if (const std::string note = published_.engine_note(); !note.empty()) {
    stats.reader_note += (ring_refused_.empty() ? "" : "; ") + note;
  }
  if (const auto epoch = current_.lock()) stats.batches_ready = epoch->channel.ready();
  if (started_) {
    stats.workers = decoders_->workers();
    stats.decode_queue = decoders_->queued();
    stats.steals = decoders_->steals();
    using Seconds = std::chrono::duration<double>;
    const sample::Reserve::Waits waits = decoders_->reserve().waits();
    stats.reserve_waits = waits.count;
    stats.reserve_seconds = Seconds(waits.time).count();
    stats.starved_seconds =
        Seconds(decoders_->idle_time(sample::DecodePool::Idle::starved)).count();
    stats.blocked_seconds =
        Seconds(decoders_->idle_time(sample::DecodePool::Idle::blocked)).count();
    stats.unordered_seconds =
        Seconds(decoders_->idle_time(sample::DecodePool::Idle::unordered)).count();
  }
  return stats;
}

}  // namespace ringfeed::pipeline
