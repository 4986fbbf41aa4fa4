// One sample's way: read, place in its batch, hop, decode. The shape of the whole loader.

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "data/index.h"
#include "pipeline/reader_thread.h"

namespace ringfeed::pipeline {

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
      sample::Worker& worker = co_await self.parts_.decoders.schedule(ticket.sequence);
      if (epoch->channel.cancelled()) co_return;
      auto decoded = self.decode(worker, epoch->key, sample, {ticket.buffer.data(), file->size},
                                 cell.pixels());
      if (decoded) {
        cell.finish();
        co_return;
      }
      if (!decoded.error().truncated || file->end_confirmed) {
        cell.fail({Stage::decode, 0, self.parts_.dataset.path(sample.entry),
                   std::move(decoded.error().detail), decoded.error().option});
        co_return;
      }
    }
    // The file seemed to end cleanly and yet lacks data: look behind the end before judging it. No
    // place is held meanwhile, so that an abandoned batch's memory never waits for I/O.
    co_await self.parts_.inbox.resume_here();
    file = co_await self.reader_.read(self.now_, ticket.sequence, sample.entry, ticket.buffer,
                                      file->size);
  }
}

tl::expected<void, decode::Failure> ReaderThread::decode(sample::Worker& worker, data::Key key,
                                                         const data::Sample& sample,
                                                         std::span<const std::byte> encoded,
                                                         std::byte* out) {
  const auto began = std::chrono::steady_clock::now();
  tl::expected<void, decode::Failure> result;
  try {
    result = worker.make(encoded, key, sample.position, out);
  } catch (const std::bad_alloc&) {
    result = tl::unexpected(decode::Failure{false, "out of memory while decoding"});
  } catch (const std::exception& error) {
    result = tl::unexpected(decode::Failure{false, error.what()});
  }
  parts_.published.decoded.record(std::chrono::steady_clock::now() - began,
                                  result ? parts_.sample_bytes : 0, !result);
  return result;
}

}  // namespace ringfeed::pipeline
