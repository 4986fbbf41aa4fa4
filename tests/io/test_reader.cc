#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "coro/scope.h"
#include "fake_engine.h"
#include "io/reader.h"

using namespace ringfeed;
using namespace ringfeed::io;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t page = Arena::page;

struct Result {
  std::optional<Expected<Encoded>> value;
  std::string bytes;
};

/// A reader over a fake engine, and the loop that drives both.
struct Fixture {
  explicit Fixture(std::size_t bytes = 64 * page, std::uint32_t slots = 4,
                   std::size_t max_file = 8 * page)
      : engine(slots), credits(bytes, Reader::reserve_bytes(max_file)) {
    ReaderOptions options;
    options.max_file_bytes = max_file;
    options.root = "/data";
    options.path_of = [](std::uint64_t file, std::string& out) {
      out = "f" + std::to_string(file);
    };
    options.ends_cleanly = [](std::span<const std::byte> tail) {
      return tail.back() == std::byte{'.'};
    };
    options.report = [this](const ReadReport& report) {
      ++reported;
      latency = report.latency;
    };
    reader = std::make_unique<Reader>(engine, credits, std::move(options));
  }

  ~Fixture() {
    serve();
    CHECK(scope.size() == 0);
    CHECK(engine.held.empty());
  }
  coro::FramePool& frames() { return pool; }

  void add(std::uint64_t file, std::string content) {
    engine.files["f" + std::to_string(file)] = std::move(content);
  }
  /// Reads `file` with `buffer` bytes to begin with.
  void read(std::uint64_t sequence, std::uint64_t file, Result& result, std::size_t buffer = page,
            std::size_t offset = 0);
  void serve(std::uint64_t oldest = 0) {
    inbox.take(finished, calls);
    for (auto handle : finished) scope.collect(handle);
    reader->serve(now, oldest);
  }

  Reader::Clock::time_point now{};
  int reported = 0;
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

coro::Task reading(Fixture& f, std::uint64_t sequence, std::uint64_t file, Result& result,
                   Buffer buffer, std::size_t offset) {
  auto encoded = co_await f.reader->read(f.now, sequence, file, buffer, offset);
  if (encoded) result.bytes.assign(reinterpret_cast<const char*>(buffer.data()), encoded->size);
  result.value = std::move(encoded);
}

void Fixture::read(std::uint64_t sequence, std::uint64_t file, Result& result, std::size_t buffer,
                   std::size_t offset) {
  scope.spawn(reading(*this, sequence, file, result, credits.try_acquire(buffer), offset));
}

coro::Task borrowing(Fixture& f, Buffer& buffer, bool& ended) {
  co_await f.reader->read(f.now, 0, 1, buffer);
  ended = true;
}

std::string clean(std::size_t n) { return std::string(n - 1, 'x') + '.'; }

}  // namespace

TEST_CASE("a short read with a clean end is believed; without one it is asked again") {
  Fixture f;
  f.add(1, clean(100));
  f.add(2, std::string(100, 'x'));
  Result a, b;
  f.read(0, 1, a);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(a.value);
  CHECK(a.bytes == clean(100));
  CHECK_FALSE((*a.value)->end_confirmed);

  f.read(1, 2, b);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE_FALSE(b.value);
  REQUIRE(f.engine.operations.size() == 1);
  CHECK_FALSE(f.engine.operations[0].open);
  CHECK(f.engine.operations[0].offset == 100);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(b.value);
  CHECK((*b.value)->end_confirmed);
  CHECK(b.bytes == std::string(100, 'x'));
}

TEST_CASE("an error behind a short read is that file's error, with errno and path") {
  Fixture f;
  f.add(1, std::string(100, 'x'));
  Result a;
  f.read(0, 1, a);
  f.reader->complete(f.now, f.engine.answer(0, 60));
  f.reader->complete(f.now, f.engine.break_read(0, EIO));
  REQUIRE(a.value);
  REQUIRE_FALSE(*a.value);
  CHECK((*a.value).error().stage == Stage::read);
  CHECK((*a.value).error().code == EIO);
  CHECK((*a.value).error().path == "/data/f1");
}

TEST_CASE("a missing file is an open error; an empty one a read error; neither is retried") {
  Fixture f;
  f.add(2, "");
  Result a, b;
  f.read(0, 1, a);
  f.read(1, 2, b);
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.answer(0));
  CHECK((*a.value).error().stage == Stage::open);
  CHECK((*a.value).error().code == ENOENT);
  CHECK((*b.value).error().stage == Stage::read);
  CHECK((*b.value).error().detail.starts_with("0 bytes"));
  CHECK(f.engine.operations.empty());
}

TEST_CASE("a file larger than its buffer grows on the same open file and keeps its bytes") {
  Fixture f;
  const std::string content = clean(5 * page + 7);
  f.add(1, content);
  Result a;
  f.read(0, 1, a);
  int turns = 0;
  while (!a.value) {
    f.serve();
    REQUIRE(f.engine.operations.size() == 1);
    CHECK(f.engine.operations[0].open == (turns == 0));
    f.reader->complete(f.now, f.engine.answer(0));
    REQUIRE(++turns < 20);
  }
  CHECK(a.bytes == content);
}

TEST_CASE("a file that ends exactly with its buffer is whole, and one byte over the limit is not") {
  Fixture f(64 * page, 4, 2 * page);
  f.add(1, clean(2 * page));
  f.add(2, clean(2 * page + 1));
  Result a, b;
  f.read(0, 1, a, 2 * page);
  f.read(1, 2, b, 2 * page);
  for (int turn = 0; turn < 10 && !(a.value && b.value); ++turn) {
    f.serve();
    while (!f.engine.operations.empty()) f.reader->complete(f.now, f.engine.answer(0));
  }
  REQUIRE(a.value);
  CHECK(*a.value);
  REQUIRE(b.value);
  REQUIRE_FALSE(*b.value);
  CHECK((*b.value).error().code == EFBIG);
}

TEST_CASE("growth goes before new samples, and the oldest gets the reserve when nothing is free") {
  Fixture f(4 * page, 4, 8 * page);
  f.add(1, clean(3 * page));
  f.add(2, clean(3 * page));
  Result a, b;
  f.read(0, 1, a, 2 * page);
  f.read(1, 2, b, 2 * page);
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.answer(0));
  CHECK(f.credits.growth_waits());
  CHECK_FALSE(f.credits.try_acquire(1));
  f.serve(0);
  REQUIRE(f.engine.operations.size() == 1);
  CHECK(f.engine.operations[0].path == "f1");
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(a.value);
  CHECK(a.bytes == clean(3 * page));
  f.serve(1);  // the first frame is gone, its bytes and the reserve with it
  REQUIRE(f.engine.operations.size() == 1);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(b.value);
  f.serve(2);
  CHECK(f.credits.in_use() == 0);
}

TEST_CASE("a whole file read again from its end tells truncation from a lying short read") {
  Fixture f;
  f.add(1, clean(100) + std::string(50, 'y'));
  Result a;
  // The first 100 bytes looked clean; look behind them.
  f.read(0, 1, a, page, 100);
  CHECK(f.engine.operations[0].open);
  CHECK(f.engine.operations[0].offset == 100);
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(a.value);
  CHECK((*a.value)->size == 150);
  CHECK((*a.value)->end_confirmed);
}

TEST_CASE("a file that waits to grow gives its slot to an older one's second read") {
  Fixture f(2 * page, 1, 8 * page);
  f.add(1, clean(100));
  f.add(2, clean(2 * page));
  Result a, b;
  Buffer older = f.credits.try_acquire(page);
  f.read(1, 2, b);
  f.reader->complete(f.now, f.engine.answer(0));  // wants what `older` holds, and has the only slot
  f.serve(0);
  REQUIRE(f.engine.operations.empty());
  f.scope.spawn(reading(f, 0, 1, a, std::move(older), 100));
  f.serve(0);
  REQUIRE(f.engine.operations.size() == 1);
  CHECK(f.engine.operations[0].path == "f1");
  f.reader->complete(f.now, f.engine.answer(0));
  CHECK(a.value);
  f.serve(1);  // the older frame is gone; the younger asks again, and is served in the same turn
  REQUIRE(f.engine.operations.size() == 1);
  CHECK(f.engine.operations[0].open);
  CHECK(f.engine.operations[0].offset == page);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(b.value);
  CHECK(b.bytes == clean(2 * page));
}

TEST_CASE("running out of descriptors goes shallower and loses nothing") {
  Fixture f(64 * page, 4);
  for (int i = 0; i < 4; ++i) f.add(static_cast<std::uint64_t>(i), clean(100));
  Result r[4];
  for (std::uint64_t i = 0; i < 4; ++i) f.read(i, i, r[i]);
  f.reader->complete(f.now, f.engine.refuse(3, EMFILE));
  f.reader->complete(f.now, f.engine.refuse(2, EMFILE));
  CHECK_FALSE(f.reader->can_start());
  f.serve();
  CHECK(f.engine.operations.size() == 2);
  f.reader->complete(f.now, f.engine.answer(0));
  f.serve();
  CHECK(f.engine.operations.size() == 2);
  while (!f.engine.operations.empty()) {
    f.reader->complete(f.now, f.engine.answer(0));
    f.serve();
  }
  for (auto& result : r) {
    REQUIRE(result.value);
    CHECK(*result.value);
  }
}

TEST_CASE("files refused together are read one by one, whatever order the refusals come in") {
  Fixture f(64 * page, 4);
  Result r[3];
  for (std::uint64_t i = 0; i < 3; ++i) {
    f.add(i, clean(100));
    f.read(i, i, r[i]);
  }
  const auto last_refusal = f.engine.refuse(1, EMFILE);
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.refuse(0, EMFILE));
  f.reader->complete(f.now, last_refusal);
  for (int turn = 0; turn < 4; ++turn) {
    f.serve();
    CHECK(f.engine.operations.size() <= 1);
    if (!f.engine.operations.empty()) f.reader->complete(f.now, f.engine.answer(0));
  }
  for (auto& result : r) {
    REQUIRE(result.value);
    CHECK(*result.value);
  }
}

TEST_CASE("with nothing else outstanding a lack of descriptors is an error that says what to do") {
  Fixture f;
  f.add(1, clean(100));
  Result a;
  f.read(0, 1, a);
  f.reader->complete(f.now, f.engine.refuse(0, EMFILE));
  REQUIRE(a.value);
  CHECK((*a.value).error().code == EMFILE);
  CHECK((*a.value).error().detail.find("ulimit -n") != std::string::npos);
}

TEST_CASE("cancelling ends what waits at once and what is in flight with its completion") {
  Fixture f(2 * page, 4, 8 * page);
  f.add(1, clean(3 * page));
  f.add(2, clean(100));
  Result a, b;
  f.read(0, 1, a);
  f.read(1, 2, b);
  f.reader->complete(f.now, f.engine.answer(0));  // now wants to grow
  f.reader->cancel_before(UINT64_MAX);
  REQUIRE(a.value);
  CHECK((*a.value).error().code == ECANCELED);
  REQUIRE_FALSE(b.value);
  CHECK(f.engine.operations[0].cancelled);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(b.value);
  CHECK((*b.value).error().code == ECANCELED);
  CHECK(f.reported == 0);  // a stop is no fault of the files
  f.serve();
  CHECK(f.scope.size() == 0);
  CHECK(f.credits.in_use() == 0);
}

TEST_CASE("cancelling before a sequence gives up older reads and leaves newer ones alone") {
  Fixture f;
  f.add(1, clean(100));
  f.add(2, clean(100));
  Result older, newer, late;
  f.read(0, 1, older);
  f.read(5, 2, newer);
  f.reader->cancel_before(5);
  CHECK(f.engine.operations[0].cancelled);
  CHECK_FALSE(f.engine.operations[1].cancelled);
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(older.value);
  CHECK((*older.value).error().code == ECANCELED);
  REQUIRE(newer.value);
  CHECK(*newer.value);
  f.read(4, 1, late);
  REQUIRE_MESSAGE(late.value, "nothing is read for it");
  CHECK((*late.value).error().code == ECANCELED);
}

TEST_CASE("depth comes back when nothing has been refused for a while") {
  Fixture f(64 * page, 4);
  f.add(1, clean(100));
  Result r[3];
  for (std::uint64_t i = 0; i < 3; ++i) f.read(i, 1, r[i]);
  f.reader->complete(f.now, f.engine.refuse(2, ENFILE));
  const auto finish_all = [&] {
    while (!f.engine.operations.empty()) {
      f.reader->complete(f.now, f.engine.answer(0));
      f.serve();
    }
  };
  finish_all();
  const auto depth = [&] {
    Result many[5];
    std::uint64_t started = 0;
    while (f.reader->can_start()) f.read(100 + started, 1, many[started]), ++started;
    finish_all();
    return started;
  };
  CHECK(depth() == 2);
  for (int i = 0; i < 100; ++i) depth();
  CHECK(depth() == 4);
}

TEST_CASE("a file's latency lasts from its slot to its end, whatever it waited for in between") {
  Fixture f(4 * page, 4, 8 * page);
  f.add(1, clean(page + 7));
  Result a;
  f.read(0, 1, a);
  f.now += 10ms;
  f.reader->complete(f.now, f.engine.answer(0));  // wants to grow
  f.now += 20ms;
  f.serve();
  f.now += 30ms;
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(a.value);
  CHECK(f.reported == 1);
  CHECK(f.latency == 60ms);
}

TEST_CASE("a file owns its bytes while it is read and gives them back, whole or not") {
  Fixture f;
  f.add(1, clean(100));
  for (const bool broken : {false, true}) {
    Buffer buffer = f.credits.try_acquire(2 * page);
    const std::byte* bytes = buffer.data();
    bool ended = false;
    f.scope.spawn(borrowing(f, buffer, ended));
    CHECK_FALSE(buffer);
    f.reader->complete(f.now, broken ? f.engine.break_read(0, EIO) : f.engine.answer(0));
    CHECK(ended);
    CHECK(buffer.data() == bytes);
    CHECK(buffer.size() == (broken ? 2 * page : page));
  }
}

TEST_CASE("outstanding files are named oldest first") {
  Fixture f;
  Result a, b;
  f.read(7, 1, a);
  f.now += 1s;
  f.read(3, 2, b);
  const auto lines = f.reader->outstanding(f.now + 500ms);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0] == "f2 (0.5 s)");
  CHECK(lines[1] == "f1 (1.5 s)");
  while (!f.engine.operations.empty()) f.reader->complete(f.now, f.engine.answer(0));
  f.serve();
}
