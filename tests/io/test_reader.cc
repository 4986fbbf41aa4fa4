// Ends, growth and errors of files.
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>

#include "reader_test.h"

namespace ringfeed::io {
namespace {

using namespace std::chrono_literals;

coro::Task borrowing(ReaderFixture& f, Buffer& buffer, bool& ended) {
  co_await f.reader->read(f.now, 0, 1, buffer);
  ended = true;
}

TEST_CASE("a short read with a clean end is believed; without one it is asked again") {
  ReaderFixture f;
  f.add(1, clean(100));
  f.add(2, std::string(100, 'x'));
  ReadResult a, b;
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
  ReaderFixture f;
  f.add(1, std::string(100, 'x'));
  ReadResult a;
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
  ReaderFixture f;
  f.add(2, "");
  ReadResult a, b;
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
  ReaderFixture f;
  const std::string content = clean(5 * page + 7);
  f.add(1, content);
  ReadResult a;
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
  ReaderFixture f(64 * page, 4, 2 * page);
  f.add(1, clean(2 * page));
  f.add(2, clean(2 * page + 1));
  ReadResult a, b;
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
  ReaderFixture f(4 * page, 4, 8 * page);
  f.add(1, clean(3 * page));
  f.add(2, clean(3 * page));
  ReadResult a, b;
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

TEST_CASE("a file read to its end tells truncation from a clean end in its middle") {
  ReaderFixture f;
  f.add(1, clean(100) + std::string(50, 'y'));
  ReadResult a;
  f.read(0, 1, a, page, true);
  CHECK(f.engine.operations[0].open);
  CHECK(f.engine.operations[0].offset == 0);
  f.reader->complete(f.now, f.engine.answer(0, 100));  // which looks like the end
  REQUIRE_FALSE(a.value);
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(a.value);
  CHECK((*a.value)->size == 150);
  CHECK((*a.value)->end_confirmed);
}

TEST_CASE("a file that waits to grow gives its slot to an older one's second read") {
  ReaderFixture f(2 * page, 1, 8 * page);
  f.add(1, clean(100));
  f.add(2, clean(2 * page));
  ReadResult a, b;
  Buffer older = f.credits.try_acquire(page);
  f.read(1, 2, b);
  f.reader->complete(f.now, f.engine.answer(0));  // wants what `older` holds, and has the only slot
  f.serve(0);
  REQUIRE(f.engine.operations.empty());
  f.scope.spawn(reading(f, 0, 1, a, std::move(older), true));
  f.serve(0);
  REQUIRE(f.engine.operations.size() == 1);
  CHECK(f.engine.operations[0].path == "f1");
  f.reader->complete(f.now, f.engine.answer(0));
  f.reader->complete(f.now, f.engine.answer(0));
  CHECK(a.value);
  f.serve(1);  // the older frame is gone; the younger asks again, and is served in the same turn
  REQUIRE(f.engine.operations.size() == 1);
  CHECK(f.engine.operations[0].open);
  CHECK(f.engine.operations[0].offset == 0);  // by its name: it may be another file by then
  while (!b.value) {
    f.reader->complete(f.now, f.engine.answer(0));
    f.serve(1);
  }
  CHECK(b.bytes == clean(2 * page));
}

TEST_CASE("a file's latency lasts from its slot to its end, whatever it waited for in between") {
  ReaderFixture f(4 * page, 4, 8 * page);
  f.add(1, clean(page + 7));
  ReadResult a;
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
  ReaderFixture f;
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

TEST_CASE("what follows the image is not read, and no size of it is expected of other files") {
  ReaderFixture f(64 * page, 4, 32 * page);
  f.add(0, std::string(page + 100, 'x') + '!' + std::string(20 * page, 'v'));
  ReadResult result;
  f.read(0, 0, result);
  f.reader->complete(f.now, f.engine.answer(0));  // a page, and the image is longer
  f.serve();
  REQUIRE(f.engine.operations.size() == 1);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(result.value);
  REQUIRE(*result.value);
  CHECK((*result.value)->size == page + 101);
  CHECK_FALSE((*result.value)->end_confirmed);
  CHECK(f.engine.operations.empty());
}

TEST_CASE("an image that ends before a short read does is believed at once") {
  ReaderFixture f;
  f.add(0, "image!video");
  ReadResult result;
  f.read(0, 0, result);
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(result.value);
  CHECK(result.bytes == "image!");
}

TEST_CASE(
    "where the decoder misses data the file is read to its end, whatever looks like the image's") {
  ReaderFixture f;
  f.add(0, "thumb!image." + std::string(2 * page, 'v'));
  ReadResult result;
  f.read(0, 0, result, page, true);
  while (!result.value) {
    f.reader->complete(f.now, f.engine.answer(0));
    f.serve();
  }
  REQUIRE(*result.value);
  CHECK((*result.value)->size == 12 + 2 * page);
  CHECK((*result.value)->end_confirmed);
}

TEST_CASE("a file that somebody holds is opened again, to be waited for") {
  for (const bool opened : {false, true}) {
    ReaderFixture f;
    f.add(0, clean(10));
    ReadResult result;
    f.read(0, 0, result);
    CHECK_FALSE(f.engine.operations[0].waits);
    // From the open, or from a read by a descriptor with O_NONBLOCK.
    f.reader->complete(f.now, opened ? f.engine.break_read(0, EAGAIN) : f.engine.refuse(0, EAGAIN));
    REQUIRE(f.engine.operations.size() == 1);
    CHECK(f.engine.operations[0].open);
    CHECK(f.engine.operations[0].waits);
    f.reader->complete(f.now, f.engine.answer(0));
    REQUIRE(result.value);
    REQUIRE(*result.value);
    CHECK(result.bytes == clean(10));
  }
}

TEST_CASE("a read that somebody holds up begins anew: the name may lead to another file by then") {
  ReaderFixture f;
  f.add(0, clean(100));
  ReadResult result;
  f.read(0, 0, result);
  f.reader->complete(f.now, f.engine.answer(0, 40));
  f.reader->complete(f.now, f.engine.refuse(0, EAGAIN));
  REQUIRE(f.engine.operations.size() == 1);
  CHECK(f.engine.operations[0].waits);
  CHECK(f.engine.operations[0].offset == 0);
  f.add(0, clean(60));
  f.reader->complete(f.now, f.engine.answer(0));
  REQUIRE(result.value);
  CHECK(result.bytes == clean(60));
}

TEST_CASE(
    "a file that has no use for waiting is an error the second time, and the slot starts anew") {
  ReaderFixture f(64 * page, 1);
  f.add(1, clean(10));
  ReadResult result, other;
  f.read(0, 0, result);
  f.reader->complete(f.now, f.engine.refuse(0, EAGAIN));
  f.reader->complete(f.now, f.engine.refuse(0, EAGAIN));
  REQUIRE(result.value);
  REQUIRE_FALSE(*result.value);
  CHECK(result.value->error().code == EAGAIN);
  f.serve();
  f.read(1, 1, other);
  CHECK_FALSE(f.engine.operations[0].waits);
  f.reader->complete(f.now, f.engine.answer(0));
}

TEST_CASE("outstanding files are named oldest first") {
  ReaderFixture f;
  ReadResult a, b;
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

TEST_CASE("the name of an outstanding file cannot command a terminal") {
  ReaderFixture f;
  f.folder = "\x1b[2J\n";
  f.add(0, clean(10));
  ReadResult result;
  f.read(0, 0, result);
  CHECK(f.reader->outstanding(f.now).front() == "\\x1b[2J\\nf0 (0.0 s)");
  f.reader->complete(f.now, f.engine.answer(0));
}

TEST_CASE("of many outstanding files the ten oldest are named") {
  ReaderFixture f(64 * page, 13);
  std::vector<ReadResult> results(13);
  for (std::uint32_t i = 0; i < results.size(); ++i) f.read(i, i, results[i]);
  const auto lines = f.reader->outstanding(f.now);
  REQUIRE(lines.size() == 11);
  CHECK(lines[0] == "f0 (0.0 s)");
  CHECK(lines[9] == "f9 (0.0 s)");
  CHECK(lines[10] == "and 3 more");
  while (!f.engine.operations.empty()) f.reader->complete(f.now, f.engine.answer(0));
  f.serve();
}

}  // namespace
}  // namespace ringfeed::io
