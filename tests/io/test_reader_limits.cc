// Reads that are refused or cancelled.
#include <doctest/doctest.h>

#include <cerrno>

#include "reader_test.h"

namespace ringfeed::io {
namespace {

TEST_CASE("running out of descriptors goes shallower and loses nothing") {
  ReaderFixture f(64 * page, 4);
  for (int i = 0; i < 4; ++i) f.add(static_cast<std::uint64_t>(i), clean(100));
  ReadResult r[4];
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
  ReaderFixture f(64 * page, 4);
  ReadResult r[3];
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
  ReaderFixture f;
  f.add(1, clean(100));
  ReadResult a;
  f.read(0, 1, a);
  f.reader->complete(f.now, f.engine.refuse(0, EMFILE));
  REQUIRE(a.value);
  CHECK((*a.value).error().code == EMFILE);
  CHECK((*a.value).error().detail.find("ulimit -n") != std::string::npos);
}

TEST_CASE("cancelling ends what waits at once and what is in flight with its completion") {
  ReaderFixture f(2 * page, 4, 8 * page);
  f.add(1, clean(3 * page));
  f.add(2, clean(100));
  ReadResult a, b;
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
  ReaderFixture f;
  f.add(1, clean(100));
  f.add(2, clean(100));
  ReadResult older, newer, late;
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
  ReaderFixture f(64 * page, 4);
  f.add(1, clean(100));
  ReadResult r[3];
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
    ReadResult many[5];
    std::uint64_t started = 0;
    while (f.reader->can_start()) f.read(100 + started, 1, many[started]), ++started;
    finish_all();
    return started;
  };
  CHECK(depth() == 2);
  for (int i = 0; i < 100; ++i) depth();
  CHECK(depth() == 4);
}

}  // namespace
}  // namespace ringfeed::io
