#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "io/file_head.h"
#include "support/temp_dir.h"

namespace ringfeed::io {
namespace {

using testing::TempDir;

std::string_view text(const FileHead& head) {
  return {reinterpret_cast<const char*>(head.bytes().data()), head.bytes().size()};
}

TEST_CASE("a file's beginning is read as far as it is asked for, and no byte is lost on the way") {
  const TempDir dir;
  const std::string content = "one two three four";
  dir.write("file", content);
  FileHead head;
  REQUIRE(head.open((dir / "file").c_str()) == 0);
  for (const std::size_t wanted : {3, 7, 5, 18}) {
    REQUIRE(head.read_to(wanted) == 0);
    CHECK(content.starts_with(text(head)));
    CHECK(text(head).size() >= wanted);
    CHECK_FALSE(head.ended());
  }
  REQUIRE(head.read_to(100) == 0);
  CHECK(text(head) == content);
  CHECK(head.ended());
}

TEST_CASE("another file is begun from nothing") {
  const TempDir dir;
  dir.write("long", "long and read to its end");
  dir.write("short", "short");
  FileHead head;
  REQUIRE(head.open((dir / "long").c_str()) == 0);
  REQUIRE(head.read_to(100) == 0);
  REQUIRE(head.open((dir / "short").c_str()) == 0);
  CHECK(text(head).empty());
  CHECK_FALSE(head.ended());
  REQUIRE(head.read_to(3) == 0);
  CHECK(text(head).starts_with("sho"));
}

TEST_CASE("a missing file is its errno; a FIFO is an error at once, without a writer") {
  const TempDir dir;
  FileHead head;
  CHECK(head.open((dir / "missing").c_str()) == ENOENT);
  REQUIRE(::mkfifo((dir / "fifo").c_str(), 0600) == 0);
  REQUIRE(head.open((dir / "fifo").c_str()) == 0);
  CHECK(head.read_to(10) == ESPIPE);
}

}  // namespace
}  // namespace ringfeed::io
