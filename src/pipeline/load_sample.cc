// One sample's way: read, place in its batch, hop, decode. The shape of the whole loader.

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "data/index.h"
#include "pipeline/epoch_run.h"
#include "pipeline/pipeline.h"
#include "pipeline/ticket.h"

namespace ringfeed::pipeline {

/// Awaitable: continues on the reader thread.
auto Pipeline::on_reader_thread() noexcept {
  struct Hop {
    coro::Inbox& inbox;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      inbox.post([handle] { handle.resume(); });
    }
    void await_resume() const noexcept {}
  };
  return Hop{inbox_};
}

// `ticket` and `run` are parameters because those die with the frame, on the reader thread: locals
// would die on a decoder, where credits may not be touched.
coro::Task Pipeline::load_sample(Pipeline& self, std::shared_ptr<EpochRun> run,
                                 SampleQueue::Next next, Ticket ticket) {
  const data::Sample sample = next.sample;
  // Not `? :`: g++ 12 destroys the temporary of a co_await inside a conditional twice.
  Expected<io::Encoded> file;
  if (const char* why = self.dataset.index().why_not_openable(sample.entry)) {
    file = fail(Stage::open, 0, self.dataset.path(sample.entry), why);
  } else {
    file = co_await self.reader_->read(self.now_, ticket.sequence, sample.entry, ticket.buffer);
  }

  for (;;) {
    {
      batch::Channel::OpenCell cell = co_await run->channel.await_cell(next.cell);
      if (!cell) co_return;
      if (!file) {
        cell.fail(std::move(file.error()));
        co_return;
      }
      sample::Worker& worker = co_await self.decoders_->schedule(ticket.sequence);
      if (run->channel.cancelled()) co_return;
      auto decoded =
          self.decode(worker, *run, sample, {ticket.buffer.data(), file->size}, cell.pixels());
      if (decoded) {
        cell.finish();
        co_return;
      }
      if (!decoded.error().truncated || file->end_confirmed) {
        cell.fail({Stage::decode, 0, self.dataset.path(sample.entry),
                   std::move(decoded.error().detail), decoded.error().option});
        co_return;
      }
    }
    // The file seemed to end cleanly and yet lacks data: look behind the end before judging it. No
    // place is held meanwhile, so that an abandoned batch's memory never waits for I/O.
    co_await self.on_reader_thread();
    file = co_await self.reader_->read(self.now_, ticket.sequence, sample.entry, ticket.buffer,
                                       file->size);
  }
}

tl::expected<void, decode::Failure> Pipeline::decode(sample::Worker& worker, const EpochRun& run,
                                                     const data::Sample& sample,
                                                     std::span<const std::byte> encoded,
                                                     std::byte* out) {
  const auto began = std::chrono::steady_clock::now();
  tl::expected<void, decode::Failure> result;
  try {
    auto geometry = worker.maker.make(encoded, run.key, sample.position, out);
    if (!geometry) result = tl::unexpected(std::move(geometry.error()));
  } catch (const std::bad_alloc&) {
    result = tl::unexpected(decode::Failure{false, "out of memory while decoding"});
  } catch (const std::exception& error) {
    result = tl::unexpected(decode::Failure{false, error.what()});
  }
  decoded_.record(std::chrono::steady_clock::now() - began, result ? plan.sample_bytes() : 0,
                  !result);
  return result;
}

}  // namespace ringfeed::pipeline
