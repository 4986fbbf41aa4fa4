// One sample's way: read its file, wait for its cell, go on to a decode thread, decode. The shape
// of the whole loader.

#include <cerrno>
#include <chrono>
#include <exception>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "data/index.h"
#include "pipeline/entry_choice.h"
#include "pipeline/reader_thread.h"

namespace ringfeed::pipeline {
namespace {

/// Maker::need(); 0 where make() will fail for want of memory too. Decode thread.
std::size_t need(sample::Maker& maker, data::Key key, std::uint64_t position,
                 std::span<const std::byte> encoded) noexcept {
  try {
    return maker.need(encoded, key, position);
  } catch (...) {
    return 0;
  }
}

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
    result = tl::unexpected(
        decode::Failure{.detail = "out of memory while decoding; raise the limit on memory",
                        .option = Option::num_workers,
                        .code = ENOMEM});
  } catch (const std::exception& error) {
    result = tl::unexpected(decode::Failure{.detail = error.what()});
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
  const ImageFolder& dataset = self.parts_.dataset;
  EntryChoice choice(self.parts_.settings, dataset.size(), epoch->key, next.sample);
  Expected<io::Encoded> file;
  bool to_end = false;
  for (;;) {
    // Not `? :`: g++ 12 destroys the temporary of a co_await inside a conditional twice.
    if (const char* why = dataset.index().why_not_openable(choice.entry())) {
      file = fail(Stage::open, 0, dataset.path(choice.entry()), why);
    } else {
      file = co_await self.reader_.read(self.now_, ticket.sequence, choice.entry(), ticket.buffer,
                                        to_end);
    }
    bool loadable = file.has_value();
    if (!loadable && choice.try_another(std::move(file.error()))) {
      ticket.buffer.shrink(self.reader_.guess());  // it may have grown for the file that failed
      to_end = false;
      continue;
    }
    {
      batch::Channel::OpenCell cell = co_await epoch->channel.await_cell(next.cell);
      if (!cell) co_return;
      if (!loadable) {
        cell.finish(choice.failures(false));
        co_return;
      }
      const std::span<const std::byte> encoded{ticket.buffer.data(), file->size};
      sample::Maker* maker = &co_await self.parts_.decoders.schedule(ticket.sequence);
      if (epoch->channel.cancelled()) co_return;
      sample::Reserve::Grant grant;
      if (const std::size_t bytes = need(*maker, epoch->key, choice.position(), encoded)) {
        grant = co_await self.parts_.decoders.reserve().take(ticket.sequence, bytes, maker);
        if (epoch->channel.cancelled()) co_return;
      }
      auto decoded = decode(*maker, epoch->key, choice.position(), encoded,
                            {cell.batch().memory.data, cell.batch().views, cell.row()},
                            self.parts_.published.decoded);
      if (decoded) {
        cell.finish(choice.failures(true));
        co_return;
      }
      // A file that seemed to end cleanly and yet lacks data is read to its real end before it is
      // judged.
      loadable = decoded.error().truncated && !file->end_confirmed;
      if (!loadable &&
          !choice.try_another({Stage::decode, decoded.error().code, dataset.path(choice.entry()),
                               std::move(decoded.error().detail), decoded.error().option,
                               decoded.error().unidentified})) {
        cell.finish(choice.failures(false));
        co_return;
      }
    }
    // No cell is held meanwhile, so that an abandoned batch's memory never waits for I/O.
    co_await self.parts_.inbox.resume_here();
    to_end = loadable;
    if (!loadable) ticket.buffer.shrink(self.reader_.guess());
  }
}

}  // namespace ringfeed::pipeline
