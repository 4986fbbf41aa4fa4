// What one file gives, on both engines.
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "engine_test.h"

namespace ringfeed::io {
namespace {

using Step = Engine::Step;

TEST_CASE("a file's bytes arrive, from its start or an offset") {
  const TempDir dir;
  dir.write("class/image.jpg", "0123456789");
  on_every_engine([&](Kind kind) {
    const auto engine = make(kind, 4, dir.path());
    Bytes buffer(64);
    auto done = read_alone(*engine, "class/image.jpg", buffer);
    CHECK(done.step == Step::read);
    REQUIRE(done.result == 10);
    CHECK(text_of(buffer, 10) == "0123456789");

    done = read_alone(*engine, "class/image.jpg", buffer, 7);
    REQUIRE(done.result == 3);
    CHECK(text_of(buffer, 3) == "789");

    done = read_alone(*engine, dir / "class/image.jpg", buffer);  // absolute
    CHECK(done.result == 10);
  });
}

TEST_CASE("an empty file is a read of 0 bytes, and so is the place behind the end") {
  const TempDir dir;
  dir.write("empty", "");
  dir.write("ten", "0123456789");
  on_every_engine([&](Kind kind) {
    const auto engine = make(kind, 4, dir.path());
    Bytes buffer(64);
    auto done = read_alone(*engine, "empty", buffer);
    CHECK(done.step == Step::read);
    CHECK(done.result == 0);
    CHECK(read_alone(*engine, "ten", buffer, 10).result == 0);
    CHECK(read_alone(*engine, "ten", buffer, 1000).result == 0);
  });
}

TEST_CASE("a file larger than the buffer fills it and is read on") {
  const TempDir dir;
  dir.write("ten", "0123456789");
  on_every_engine([&](Kind kind) {
    const auto engine = make(kind, 4, dir.path());
    Bytes buffer(4);
    REQUIRE(read_alone(*engine, "ten", buffer, 0, 3).result == 4);
    CHECK(text_of(buffer, 4) == "0123");

    engine->read_more(3, buffer, 4);
    auto out = wait_for_some(*engine);
    REQUIRE(out.size() == 1);
    CHECK(out[0].step == Step::read);
    REQUIRE(out[0].result == 4);
    CHECK(text_of(buffer, 4) == "4567");

    engine->read_more(3, buffer, 8);
    CHECK(wait_for_some(*engine).at(0).result == 2);
    engine->read_more(3, buffer, 10);
    CHECK(wait_for_some(*engine).at(0).result == 0);
    engine->release(3);
  });
}

TEST_CASE("faults come with their step and errno, one completion each") {
  const TempDir dir;
  dir.write("directory/file", "x");
  dir.write("ten", "0123456789");
  REQUIRE(::symlink("loop", (dir / "loop").c_str()) == 0);
  on_every_engine([&](Kind kind) {
    const auto engine = make(kind, 4, dir.path());
    Bytes buffer(64);
    const struct {
      const char* path;
      Step step;
      int result;
    } cases[] = {
        {"missing", Step::open, -ENOENT},   {"ten/below", Step::open, -ENOTDIR},
        {"loop", Step::open, -ELOOP},       {"", Step::open, -ENOENT},
        {"directory", Step::read, -EISDIR}, {"ten", Step::read, 10},
    };
    for (const auto& [path, step, result] : cases) {
      CAPTURE(path);
      const auto done = read_alone(*engine, path, buffer);
      CHECK(done.step == step);
      CHECK(done.result == result);
    }
    // A failed open leaves nothing of the slot's earlier file to read.
    REQUIRE(read_alone(*engine, "ten", buffer).result == 10);
    const std::string too_long(5000, 'a');
    CHECK(read_alone(*engine, too_long, buffer).result == -ENAMETOOLONG);
    std::vector<Engine::Completion> out;
    engine->poll(Engine::at_once, out);
    CHECK(out.empty());
  });
}

TEST_CASE("a FIFO is an error at once, with and without a writer") {
  const TempDir dir;
  dir.write("ten", "0123456789");
  REQUIRE(::mkfifo((dir / "lonely").c_str(), 0600) == 0);
  REQUIRE(::mkfifo((dir / "silent").c_str(), 0600) == 0);
  REQUIRE(::mkfifo((dir / "full").c_str(), 0600) == 0);
  // O_RDWR: a writer that says nothing, without waiting for a reader.
  const int silent = ::open((dir / "silent").c_str(), O_RDWR | O_CLOEXEC);
  const int full = ::open((dir / "full").c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::write(full, "data", 4) == 4);
  on_every_engine([&](Kind kind) {
    const Deadline deadline(60);
    const auto engine = make(kind, 4, dir.path());
    Bytes buffer(64);
    for (const char* path : {"lonely", "silent", "full"}) {
      CAPTURE(path);
      const auto done = read_alone(*engine, path, buffer);
      CHECK(done.step == Step::read);
      CHECK(done.result == -ESPIPE);
    }
    CHECK(read_alone(*engine, "ten", buffer).result == 10);
  });
  ::close(silent);
  ::close(full);
}

TEST_CASE("a socket is an error at its open") {
  const TempDir dir;
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, (dir / "socket").c_str(), sizeof address.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  on_every_engine([&](Kind kind) {
    const auto engine = make(kind, 4, dir.path());
    Bytes buffer(64);
    const auto done = read_alone(*engine, "socket", buffer);
    CHECK(done.step == Step::open);
    CHECK(done.result == -ENXIO);
  });
  ::close(fd);
}

TEST_CASE("a file without permission is EACCES") {
  const TempDir dir;
  dir.write("secret", "x");
  REQUIRE(::chmod((dir / "secret").c_str(), 0) == 0);
  on_every_engine([&](Kind kind) {
    const std::string said = in_child([&] {
      become_nobody();
      const auto engine = make(kind, 2, dir.path());
      Bytes buffer(64);
      engine->open_and_read(0, "secret", buffer, 0);
      const auto done = wait_for_some(*engine).at(0);
      return std::string(done.step == Step::open ? "open " : "read ") +
             strerrorname_np(-done.result);
    });
    CHECK(said == "open EACCES");
  });
}

TEST_CASE("each open looks the root up anew: missing, made, replaced, or a link turned elsewhere") {
  on_every_engine([&](Kind kind) {
    const TempDir dir;
    const auto engine = make(kind, 2, dir / "root");
    Bytes buffer(64);
    const auto missing = read_alone(*engine, "class/f", buffer);
    CHECK(missing.step == Step::open);
    CHECK(missing.result == -ENOENT);
    const auto finds = [&](const std::string& content) {
      const auto done = read_alone(*engine, "class/f", buffer);
      REQUIRE(done.result == static_cast<int>(content.size()));
      CHECK(text_of(buffer, done.result) == content);
    };
    dir.write("root/class/f", "first");
    finds("first");
    std::filesystem::rename(dir / "root", dir / "away");
    dir.write("root/class/f", "second");
    finds("second");
    std::filesystem::remove_all(dir / "root");
    std::filesystem::create_directory_symlink(dir / "away", dir / "root");
    finds("first");
  });
}

TEST_CASE("a relative root counts from the directory that the engine was made in") {
  const TempDir dir;
  dir.write("root/f", "content");
  on_every_engine([&](Kind kind) {
    const std::string said = in_child([&] {
      std::filesystem::current_path(dir.path());
      const auto engine = make(kind, 2, "root");
      std::filesystem::current_path("/");
      Bytes buffer(64);
      return text_of(buffer, std::max(0, read_alone(*engine, "f", buffer).result));
    });
    CHECK(said == "content");
  });
}

TEST_CASE("an engine with nothing to do polls without blocking and yields nothing") {
  on_every_engine([&](Kind kind) {
    const auto engine = make(kind, 2, "/");
    CHECK(engine->slots() == 2);
    CHECK(engine->note().empty());
    CHECK(engine->name() == (kind == Kind::pool ? "pool" : "ring"));
    std::vector<Engine::Completion> out;
    engine->poll(Engine::at_once, out);
    CHECK(out.empty());
  });
}

}  // namespace
}  // namespace ringfeed::io
