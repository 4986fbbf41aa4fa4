// One sample's way: read its file, wait for its cell, go on to a decode thread, decode. The shape
// of the whole loader.

#include <chrono>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "data/index.h"
#include "pipeline/reader_thread.h"

namespace ringfeed::pipeline {
namespace {

/// Makes a sample and records what it took. Decode thread.
tl::expected<void, decode::Failure> decode(sample::Maker& maker, data::Key key,
                                           std::uint64_t position,
                                           std::span<const std::byte> encoded,
                                           const sample::Destination& to, StageRecorder& recorder) {
  const auto began = std::chrono::steady_clock::now();
  tl::expected<void, decode::Failure> result;
  try {
    result = maker.make(encoded, key, position, to);
  } catch (const std::bad_alloc&) {
    result = tl::unexpected(decode::Failure{false, "out of memory while decoding"});
  } catch (const std::exception& error) {
    result = tl::unexpected(decode::Failure{false, error.what()});
  }
  std::size_t bytes = 0;
  if (result) {
    for (const BatchView& view : to.views) bytes += view.sample_bytes();
  }
  recorder.record(std::chrono::steady_clock::now() - began, bytes, !result);
  return result;
}

}  // namespace

// `ticket` and `epoch` are parameters because those die with the frame, on the reader thread:
// locals would die on a decoder, where credits may not be touched.
coro::Task ReaderThread::load_sample(ReaderThread& self, std::shared_ptr<EpochLink> epoch,
                                     SampleQueue::Next next, Ticket ticket) {
  const data::Sample sample = next.sample;
  // Not `? :`: g++ 12 destroys the temporary of a co_await inside a conditional twice.
  Expected<io::Encoded> file;
  if (const char* why = self.parts_.dataset.index().why_not_openable(sample.entry)) {
    file = fail(Stage::open, 0, self.parts_.dataset.path(sample.entry), why);
  } else {
    file = co_await self.reader_.read(self.now_, ticket.sequence, sample.entry, ticket.buffer);
  }

  for (;;) {
    {
      batch::Channel::OpenCell cell = co_await epoch->channel.await_cell(next.cell);
      if (!cell) co_return;
      if (!file) {
        cell.fail(std::move(file.error()));
        co_return;
      }
      sample::Maker& maker = co_await self.parts_.decoders.schedule(ticket.sequence);
      if (epoch->channel.cancelled()) co_return;
      auto decoded = decode(maker, epoch->key, sample.position, {ticket.buffer.data(), file->size},
                            {cell.batch().memory.data, cell.batch().views, cell.row()},
                            self.parts_.published.decoded);
      if (decoded) {
        cell.finish();
        co_return;
      }
      if (!decoded.error().truncated || file->end_confirmed) {
        cell.fail({Stage::decode, 0, self.parts_.dataset.path(sample.entry),
                   std::move(decoded.error().detail), decoded.error().option,
                   decoded.error().unidentified});
        co_return;
      }
    }
    // The file seemed to end cleanly and yet lacks data: look behind the end before judging it. No
    // cell is held meanwhile, so that an abandoned batch's memory never waits for I/O.
    co_await self.parts_.inbox.resume_here();
    file = co_await self.reader_.read(self.now_, ticket.sequence, sample.entry, ticket.buffer,
                                      file->size);
  }
}

}  // namespace ringfeed::pipeline
