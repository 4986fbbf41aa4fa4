#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/expected.h"
#include "io/credits.h"
#include "io/engine.h"
#include "ringfeed/reader_kind.h"

namespace ringfeed::io {

/// A file's bytes. Dropped on the fetcher's thread, and before the fetcher.
class FetchedFile {
 public:
  FetchedFile() = default;
  FetchedFile(Buffer buffer, std::size_t size) : buffer_(std::move(buffer)), size_(size) {}
  std::span<const std::byte> bytes() const noexcept {
    if (size_ == 0) return {};
    return {buffer_.data(), size_};
  }

 private:
  Buffer buffer_;
  std::size_t size_ = 0;
};

struct FileFetcherOptions {
  /// Bytes of files that are being read or not yet taken; a file that outgrows its first read may
  /// use as many again. A larger file is none of the fetcher's.
  std::size_t read_ahead_bytes = std::size_t{64} << 20;
  std::uint32_t slots = 256;  ///< files in flight
  /// Called every 100 ms while take() waits. What it throws ends the wait, and the file stays
  /// announced.
  std::function<void()> while_waiting;
};

/// Reads whole files that have been announced, many at once, for a caller who takes one after the
/// other. It has no thread of its own: the engine is polled within announce() and take().
///
/// All calls belong to the thread that made it. One from another thread, from a forked child or
/// from within `while_waiting` is refused: announce() does nothing, and take() has no file.
class FileFetcher {
 public:
  /// As open_engine() throws.
  explicit FileFetcher(ReaderKind kind, const FileFetcherOptions& options = {});
  FileFetcher(std::unique_ptr<Engine> engine, FileFetcherOptions options);
  /// Gives up what is being read, and waits 5 s at most for the engine to let go of it; what still
  /// hangs then is left to the process, as are a parent's reads in a forked child.
  ~FileFetcher();
  FileFetcher(const FileFetcher&) = delete;
  FileFetcher& operator=(const FileFetcher&) = delete;

  std::string_view engine_name() const noexcept;  ///< "ring" or "pool"

  /// Starts to read these files, each as often as it is named, and returns. What was announced
  /// before stays, to be taken; what does not fit into read_ahead_bytes beside it waits. Once a
  /// file of a later call is taken, files of earlier ones make room where it lacks, the oldest
  /// first. False: refused.
  bool announce(std::span<const std::string> paths);

  /// The file of that path, waited for; or why it cannot be opened or read, with its errno. Nothing
  /// where the caller had better open it: it is not announced (any more), could not be begun for
  /// lack of room, is larger than read_ahead_bytes or is no regular file, or the process lacks
  /// descriptors or memory. In each case one announcement is used up.
  std::optional<Expected<FetchedFile>> take(const std::string& path);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ringfeed::io
