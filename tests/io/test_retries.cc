// Errors that may pass.
#include <doctest/doctest.h>

#include <cerrno>
#include <chrono>

#include "reader_test.h"

namespace ringfeed::io {
namespace {

using std::chrono::milliseconds;

constexpr int transient[] = {EIO, ESTALE, EAGAIN, ETIMEDOUT, ENOTCONN};

TEST_CASE("a file is opened again, later each time, and then read whole from its beginning") {
  for (const int error : transient) {
    ReaderFixture f(64 * page, 4, 8 * page, /*retries=*/8);
    f.add(1, clean(3 * page));
    ReadResult result;
    f.read(0, 1, result);
    f.reader->complete(f.now, f.engine.answer(0, 100));  // a part of it
    // It is opened at once where somebody may hold it, to wait, and where it may have been
    // replaced.
    if (error == EAGAIN || error == ESTALE || error == ENOTCONN) {
      f.reader->complete(f.now, f.engine.refuse(0, error));
    }
    for (const int rest : {50, 100, 200, 400, 800, 1600, 3200, 5000}) {
      f.reader->complete(f.now, f.engine.refuse(0, error));
      CHECK(f.reader->next_retry() == f.now + milliseconds(rest));
      f.serve();
      CHECK(f.engine.operations.empty());
      f.now += milliseconds(rest - 1);
      f.serve();
      CHECK(f.engine.operations.empty());
      f.now += milliseconds(1);
      f.serve();
      REQUIRE(f.engine.operations.size() == 1);
      CHECK(f.engine.operations[0].open);
      CHECK(f.engine.operations[0].offset == 0);
      CHECK(f.reader->next_retry() == Engine::for_ever);
    }
    while (!f.engine.operations.empty()) {
      f.reader->complete(f.now, f.engine.answer(0));
      f.serve();
    }
    REQUIRE(result.value);
    REQUIRE(*result.value);
    CHECK(result.bytes == clean(3 * page));
    CHECK(f.retried == 8);
    CHECK(f.latency == milliseconds(50 + 100 + 200 + 400 + 800 + 1600 + 3200 + 5000));
  }
}

TEST_CASE("the error is the file's once the retries are used up; without any it is at once") {
  for (const int retries : {0, 2}) {
    ReaderFixture f(64 * page, 4, 8 * page, retries);
    f.add(1, clean(100));
    ReadResult result;
    f.read(0, 1, result);
    for (int i = 0; i < retries; ++i) {
      f.reader->complete(f.now, f.engine.break_read(0, EIO));
      CHECK_FALSE(result.value);
      f.now = f.reader->next_retry();
      f.serve();
    }
    f.reader->complete(f.now, f.engine.break_read(0, EIO));
    REQUIRE(result.value);
    CHECK(result.value->error().code == EIO);
    CHECK(result.value->error().stage == Stage::read);
    CHECK(f.retried == retries);
  }
}

TEST_CASE("errors that stay are not tried again") {
  for (const int error : {ENOENT, EACCES, EISDIR, EINVAL}) {
    ReaderFixture f(64 * page, 4, 8 * page, 5);
    ReadResult result;
    f.read(0, 1, result);
    f.reader->complete(f.now, f.engine.refuse(0, error));
    REQUIRE(result.value);
    CHECK(result.value->error().code == error);
  }
}

TEST_CASE("while one file rests the others are read, and a cancellation ends its rest") {
  ReaderFixture f(64 * page, 2, 8 * page, 5);
  for (std::uint64_t i = 0; i < 3; ++i) f.add(i, clean(100));
  ReadResult r[3];
  f.read(0, 0, r[0]);
  f.reader->complete(f.now, f.engine.refuse(0, EIO));
  for (std::uint64_t i = 1; i < 3; ++i) {
    REQUIRE(f.reader->can_start());
    f.read(i, i, r[i]);
    f.reader->complete(f.now, f.engine.answer(0));
    REQUIRE(r[i].value);
    CHECK(*r[i].value);
  }
  CHECK(f.reader->in_flight() == 1);
  CHECK(f.reader->outstanding(f.now).size() == 1);
  f.reader->cancel_before(3);
  REQUIRE(r[0].value);
  CHECK(r[0].value->error().code == ECANCELED);
  CHECK(f.reader->next_retry() == Engine::for_ever);
}

TEST_CASE("a file that has gone stale is opened anew at once, once, and that is no retry") {
  for (const int error : {ESTALE, ENOTCONN}) {
    for (const bool heals : {true, false}) {
      CAPTURE(heals);
      ReaderFixture f;
      f.add(1, clean(100));
      ReadResult result;
      f.read(0, 1, result);
      f.reader->complete(f.now, f.engine.refuse(0, error));
      REQUIRE(f.engine.operations.size() == 1);
      CHECK(f.engine.operations[0].open);
      f.reader->complete(f.now, heals ? f.engine.answer(0) : f.engine.refuse(0, error));
      CHECK(f.engine.operations.empty());
      REQUIRE(result.value);
      CHECK(result.value->has_value() == heals);
      if (!heals) CHECK(result.value->error().code == error);
      CHECK(f.retried == 0);
    }
  }
}

TEST_CASE("the bytes of a file that has gone stale are not joined with those of its successor") {
  ReaderFixture f;
  f.add(1, std::string(3 * page, 'o'));
  f.add(2, std::string(3 * page, 'o'));
  ReadResult r[2];
  f.read(0, 1, r[0], 4 * page);
  f.read(1, 2, r[1], page, true);
  for (int file = 0; file < 2; ++file) f.reader->complete(f.now, f.engine.answer(0, 200));
  for (int file = 0; file < 2; ++file) {
    REQUIRE_FALSE(f.engine.operations[0].open);
    f.reader->complete(f.now, f.engine.refuse(0, ESTALE));
  }
  f.add(1, clean(300));
  f.add(2, clean(300));
  for (int file = 0; file < 2; ++file) {
    CHECK(f.engine.operations[0].offset == 0);
    while (!r[file].value) f.reader->complete(f.now, f.engine.answer(0));
    CHECK(r[file].bytes == clean(300));
  }
}

TEST_CASE("every file in flight is opened anew where the mount goes, but no unwanted one") {
  ReaderFixture f;
  ReadResult r[4];
  for (std::uint64_t i = 0; i < 4; ++i) {
    f.add(i, clean(100 + i));
    f.read(i, i, r[i]);
  }
  f.reader->cancel_before(1);
  for (int i = 0; i < 4; ++i) f.reader->complete(f.now, f.engine.refuse(0, ENOTCONN));
  REQUIRE(r[0].value);
  CHECK(r[0].value->error().code == ECANCELED);
  REQUIRE(f.engine.operations.size() == 3);
  for (std::uint64_t i = 1; i < 4; ++i) {
    f.reader->complete(f.now, f.engine.answer(0));
    REQUIRE(r[i].value);
    CHECK(r[i].bytes == clean(100 + i));
  }
}

}  // namespace
}  // namespace ringfeed::io
