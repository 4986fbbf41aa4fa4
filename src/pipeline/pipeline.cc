#include "pipeline/pipeline.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <system_error>
#include <utility>

#include "base/thread_start.h"
#include "io/open_engine.h"

namespace ringfeed::pipeline {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

// How long stop() waits for reads in flight before it sets the loader aside.
constexpr std::chrono::seconds drain_limit{5};

}  // namespace

Pipeline::Pipeline(ImageFolder folder, TransformPlan transform, Settings resolved)
    : dataset(std::move(folder)),
      plan(transform),
      settings(std::move(resolved)),
      inbox_([this] { engine_->wake(); }) {}

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

void Pipeline::begin(std::shared_ptr<EpochLink> epoch) {
  std::lock_guard lock(stop_mutex_);
  if (stopping_) {
    epoch->channel.cancel();
    return;
  }
  if (!reader_thread_.joinable()) {
    try {
      start();
    } catch (const std::system_error& error) {  // no ring, where it was asked for, or no thread
      throw LoadError({Stage::setup, error.code().value(), {}, error.what()});
    }
  }
  std::shared_ptr<EpochLink> last;
  {
    std::lock_guard current(current_mutex_);
    if (broken_) std::rethrow_exception(broken_);
    last = current_.lock();
    current_ = epoch;
  }
  if (last != nullptr) {
    last->superseded = true;
    last->channel.cancel();
    last->channel.free_batches();  // before the new epoch's are allocated: they are one bound
  }
  clock.start();
  inbox_.post([this, epoch] { reader_->begin(epoch); });
}

void Pipeline::reader_main(std::promise<void>& started) {
  try {
    auto opened = io::open_engine(settings.reader,
                                  {static_cast<std::uint32_t>(settings.depth), dataset.root()});
    engine_ = std::move(opened.engine);
    reader_ = std::make_unique<ReaderThread>(ReaderThread::Parts{
        *engine_, inbox_, *decoders_, dataset, settings, plan.sample_bytes(), published_});
    std::lock_guard current(current_mutex_);
    refused_ = std::move(opened.note);
    reader_name_ = engine_->name();
    depth_ = static_cast<int>(engine_->slots());
  } catch (...) {
    reader_.reset();
    engine_.reset();
    started.set_exception(std::current_exception());
    return;
  }
  started.set_value();
  try {
    while (reader_->turn(ReaderThread::Clock::now())) {
    }
  } catch (...) {
    // Out of memory in the reader or the kernel. Reads may still be in flight, so nothing can be
    // freed: the consumer is told and the loader set aside.
    inbox_.close();
    std::lock_guard current(current_mutex_);
    broken_ = std::current_exception();
    hung_ = true;
    if (auto epoch = current_.lock()) epoch->channel.cancel();
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

void Pipeline::stop() {
  if (forked()) return;  // the parent's threads are not the child's to stop
  std::lock_guard lock(stop_mutex_);
  stopping_ = true;
  {
    std::lock_guard current(current_mutex_);
    if (auto epoch = current_.lock()) epoch->channel.cancel();
  }
  clock.stop();
  if (!reader_thread_.joinable()) return;
  inbox_.post([this] { reader_->stop(); });
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
  inbox_.post([this, answer] { answer->set_value(reader_->outstanding()); });
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
  stats.deliver = delivered.snapshot();
  stats.files_in_flight = published_.files_in_flight.load(relaxed);
  stats.encoded_ready = published_.encoded_ready.load(relaxed);
  stats.read_ahead_bytes_peak = published_.read_ahead_peak.load(relaxed);
  stats.size_guess = published_.size_guess.load(relaxed);
  stats.wall_seconds = clock.seconds();
  stats.workers = settings.num_workers;
  std::lock_guard current(current_mutex_);
  stats.depth = depth_;
  stats.reader = reader_name_;
  stats.reader_note = refused_;
  if (const std::string note = published_.engine_note(); !note.empty()) {
    stats.reader_note += (refused_.empty() ? "" : "; ") + note;
  }
  if (const auto epoch = current_.lock()) stats.batches_ready = epoch->channel.ready();
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
