#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coro/scope.h"
#include "fake_engine.h"
#include "io/reader.h"

namespace ringfeed::io {

inline constexpr std::size_t page = Arena::page;

struct ReadResult {
  std::optional<Expected<Encoded>> value;
  std::string bytes;
};

/// A reader over a fake engine, and the loop that drives both.
struct ReaderFixture {
  explicit ReaderFixture(std::size_t bytes = 64 * page, std::uint32_t slots = 4,
                         std::size_t max_file = 8 * page, int retries = 0)
      : engine(slots), credits(bytes, Reader::reserve_bytes(max_file)) {
    ReaderOptions options;
    options.max_file_bytes = max_file;
    options.retries = retries;
    options.root = "/data";
    options.path_of = [this](std::uint64_t file, std::string& out) {
      out = folder + "f" + std::to_string(file);
    };
    options.ends_cleanly = [](std::span<const std::byte> tail) {
      return tail.back() == std::byte{'.'};
    };
    options.image_end = [](std::span<const std::byte> beginning) {
      const auto end = std::ranges::find(beginning, std::byte{'!'});
      return end == beginning.end() ? 0 : static_cast<std::size_t>(end - beginning.begin()) + 1;
    };
    options.report = [this](const ReadReport& report) {
      ++reported;
      latency = report.latency;
      retried += report.retries;
    };
    reader = std::make_unique<Reader>(engine, credits, std::move(options));
  }

  ~ReaderFixture() {
    serve();
    CHECK(scope.size() == 0);
    CHECK(engine.held.empty());
  }
  coro::FramePool& frames() { return pool; }

  void add(std::uint64_t file, std::string content) {
    engine.files[folder + "f" + std::to_string(file)] = std::move(content);
  }
  /// Reads `file` with `buffer` bytes to begin with.
  void read(std::uint64_t sequence, std::uint64_t file, ReadResult& result,
            std::size_t buffer = page, bool to_end = false);
  void serve(std::uint64_t oldest = 0) {
    inbox.take(finished, calls);
    for (auto handle : finished) scope.collect(handle);
    reader->serve(now, oldest);
  }

  std::string folder;  // before every name
  Reader::Clock::time_point now{};
  int reported = 0;
  int retried = 0;
  Reader::Clock::duration latency{0};  // of the last reported
  FakeEngine engine;
  Credits credits;
  std::unique_ptr<Reader> reader;
  coro::FramePool pool;
  coro::Inbox inbox{[] {}};
  coro::Scope scope{inbox};
  std::vector<std::coroutine_handle<>> finished;
  std::vector<std::function<void()>> calls;
};

inline coro::Task reading(ReaderFixture& f, std::uint64_t sequence, std::uint64_t file,
                          ReadResult& result, Buffer buffer, bool to_end) {
  auto encoded = co_await f.reader->read(f.now, sequence, file, buffer, to_end);
  if (encoded) result.bytes.assign(reinterpret_cast<const char*>(buffer.data()), encoded->size);
  result.value = std::move(encoded);
}

inline void ReaderFixture::read(std::uint64_t sequence, std::uint64_t file, ReadResult& result,
                                std::size_t buffer, bool to_end) {
  scope.spawn(reading(*this, sequence, file, result, credits.try_acquire(buffer), to_end));
}

/// `n` bytes that end as a whole file does.
inline std::string clean(std::size_t n) { return std::string(n - 1, 'x') + '.'; }

}  // namespace ringfeed::io
