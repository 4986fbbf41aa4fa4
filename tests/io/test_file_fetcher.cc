#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine_test.h"
#include "fake_engine.h"
#include "io/file_fetcher.h"
#include "support/deny.h"

namespace ringfeed::io {
namespace {

constexpr std::size_t page = Arena::page;
constexpr std::size_t MiB = std::size_t{1} << 20;
using Taken = std::optional<Expected<FetchedFile>>;

const std::vector<Kind> kinds = {Kind::ring, Kind::ring_in_io_wq, Kind::pool};

/// `size` bytes that tell whose they are.
std::string content(const std::string& path, std::size_t size) {
  std::string text;
  while (text.size() < size) text += path + '\n';
  text.resize(size);
  return text;
}

std::string text_of(const FetchedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

/// A folder of files whose content states their name.
struct Folder {
  std::string add(const std::string& name, std::size_t size) {
    dir.write(name, content(dir / name, size));
    sizes.emplace_back(dir / name, size);
    return dir / name;
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> all;
    for (const auto& [path, size] : sizes) all.push_back(path);
    return all;
  }
  /// "right", "nothing", or what is wrong with the file of that number.
  std::string judge(std::size_t number, const Taken& taken) const {
    if (!taken) return "nothing";
    if (!*taken) return "errno " + std::to_string(taken->error().code);
    const auto& [path, size] = sizes[number];
    return text_of(**taken) == content(path, size) ? "right" : "wrong: " + path;
  }

  TempDir dir;
  std::vector<std::pair<std::string, std::size_t>> sizes;
};

FileFetcher fetcher_of(Kind kind, std::uint32_t slots = 32, std::size_t bytes = 64 * MiB) {
  return {make(kind, slots, "/"), {.read_ahead_bytes = bytes, .slots = slots, .while_waiting = {}}};
}

TEST_CASE("a fetched file has all of its bytes, whatever its size") {
  const Deadline deadline(60);
  Folder folder;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, page - 1, page, page + 1,
                                 32 * page, 5 * MiB + 7, std::size_t{0}, std::size_t{100}}) {
    folder.add(numbered("f", static_cast<int>(folder.sizes.size())), size);
  }
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind);
        REQUIRE(fetcher.announce(folder.paths()));
        for (std::size_t i = 0; i < folder.sizes.size(); ++i) {
          CHECK(folder.judge(i, fetcher.take(folder.sizes[i].first)) == "right");
        }
      },
      kinds);
}

TEST_CASE("files may be taken in any order") {
  const Deadline deadline(60);
  Folder folder;
  for (int i = 0; i < 100; ++i) folder.add(numbered("f", i), static_cast<std::size_t>(i) * 1000);
  on_every_engine(
      [&](Kind kind) {
        std::mt19937 random(1);
        std::vector<std::size_t> order(folder.sizes.size());
        std::iota(order.begin(), order.end(), std::size_t{0});
        FileFetcher fetcher = fetcher_of(kind);
        for (int round = 0; round < 5; ++round) {
          std::shuffle(order.begin(), order.end(), random);
          REQUIRE(fetcher.announce(folder.paths()));
          for (const std::size_t i : order) {
            CHECK(folder.judge(i, fetcher.take(folder.sizes[i].first)) == "right");
          }
        }
      },
      kinds);
}

TEST_CASE("a file is given as often as it was announced") {
  const Deadline deadline(60);
  Folder folder;
  const std::string twice = folder.add("twice", 1000), once = folder.add("once", 1000);
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind);
        CHECK(folder.judge(0, fetcher.take(twice)) == "nothing");
        REQUIRE(fetcher.announce(std::vector{twice, once, twice}));
        CHECK(folder.judge(0, fetcher.take(twice)) == "right");
        CHECK(folder.judge(0, fetcher.take(twice)) == "right");
        CHECK(folder.judge(0, fetcher.take(twice)) == "nothing");
        CHECK(folder.judge(1, fetcher.take(once)) == "right");
        CHECK(folder.judge(1, fetcher.take(once)) == "nothing");
        REQUIRE(fetcher.announce(std::vector{once}));
        REQUIRE(fetcher.announce(std::vector{once, twice}));
        CHECK(folder.judge(1, fetcher.take(once)) == "right");
        CHECK(folder.judge(1, fetcher.take(once)) == "right");
        CHECK(folder.judge(1, fetcher.take(once)) == "nothing");
      },
      kinds);
}

TEST_CASE("a file that cannot be opened or read has its errno, and the others are right") {
  const Deadline deadline(60);
  Folder folder;
  const std::string first = folder.add("first", 1000), last = folder.add("last", 1000);
  const std::string missing = folder.dir / "missing", below_file = first + "/x";
  const std::string looped = folder.dir / "looped", fifo = folder.dir / "fifo";
  REQUIRE(::symlink(looped.c_str(), looped.c_str()) == 0);
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind);
        const auto code = [&](const std::string& path) {
          const Taken taken = fetcher.take(path);
          return taken ? (*taken ? 0 : taken->error().code) : -1;
        };
        REQUIRE(fetcher.announce(std::vector{first, missing, below_file, looped,
                                             folder.dir.path().string(), fifo, last}));
        CHECK(folder.judge(0, fetcher.take(first)) == "right");
        CHECK(code(missing) == ENOENT);
        CHECK(code(missing) == -1);
        CHECK(code(below_file) == ENOTDIR);
        CHECK(code(looped) == ELOOP);
        CHECK(code(folder.dir.path()) == EISDIR);
        CHECK_MESSAGE(code(fifo) == -1, "a pipe is read by whoever opens it");
        CHECK(folder.judge(1, fetcher.take(last)) == "right");
      },
      kinds);
}

TEST_CASE("more bytes than may be held are read as those before them are taken") {
  const Deadline deadline(60);
  Folder folder;
  for (int i = 0; i < 40; ++i) folder.add(numbered("f", i), 300'000 + static_cast<std::size_t>(i));
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind, 32, 2 * MiB);
        REQUIRE(fetcher.announce(folder.paths()));
        for (std::size_t i = 0; i < folder.sizes.size(); ++i) {
          CHECK(folder.judge(i, fetcher.take(folder.sizes[i].first)) == "right");
        }
      },
      kinds);
}

TEST_CASE("short of room, any order of takes ends, with the right bytes or none") {
  const Deadline deadline(120);
  std::mt19937 random(2);
  Folder folder;
  for (int i = 0; i < 60; ++i) {
    folder.add(numbered("f", i), random() % 4 == 0 ? random() % MiB : random() % 40'000);
  }
  on_every_engine(
      [&](Kind kind) {
        int right = 0;
        for (int round = 0; round < 20; ++round) {
          FileFetcher fetcher = fetcher_of(kind, 1 + random() % 16, MiB + random() % MiB);
          std::vector<std::size_t> order(folder.sizes.size());
          std::iota(order.begin(), order.end(), std::size_t{0});
          for (int batch = 0; batch < 3; ++batch) {
            REQUIRE(fetcher.announce(folder.paths()));
            std::shuffle(order.begin(), order.end(), random);
            const std::size_t taken = random() % 2 == 0 ? order.size() : random() % order.size();
            for (std::size_t i = 0; i < taken; ++i) {
              const std::string said =
                  folder.judge(order[i], fetcher.take(folder.sizes[order[i]].first));
              CHECK((said == "right" || said == "nothing"));
              right += said == "right" ? 1 : 0;
            }
          }
        }
        CHECK(right > 0);
      },
      kinds);
}

TEST_CASE("files that nobody takes make room for those of later calls") {
  const Deadline deadline(60);
  Folder folder;
  for (int i = 0; i < 30; ++i) folder.add(numbered("f", i), 100'000);
  const std::vector<std::string> paths = folder.paths();
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind, 32, MiB);
        for (int round = 0; round < 4; ++round) {
          REQUIRE(fetcher.announce(std::span(paths).first(20)));
          REQUIRE(fetcher.announce(std::span(paths).last(10)));
          for (std::size_t i = 20; i < 30; ++i) {
            CHECK(folder.judge(i, fetcher.take(paths[i])) == "right");
          }
        }
      },
      kinds);
}

TEST_CASE("a thousand files of one call go through a few slots") {
  const Deadline deadline(60);
  Folder folder;
  for (int i = 0; i < 1000; ++i) folder.add(numbered("f", i), static_cast<std::size_t>(i) * 7);
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind, 16);
        REQUIRE(fetcher.announce(folder.paths()));
        int right = 0;
        for (std::size_t i = 0; i < folder.sizes.size(); ++i) {
          right += folder.judge(i, fetcher.take(folder.sizes[i].first)) == "right" ? 1 : 0;
        }
        CHECK(right == 1000);
      },
      kinds);
}

TEST_CASE("a fetcher may go with reads in flight, and with files not taken") {
  const Deadline deadline(60);
  Folder folder;
  for (int i = 0; i < 50; ++i) folder.add(numbered("f", i), 200'000);
  on_every_engine(
      [&](Kind kind) {
        for (int round = 0; round < 20; ++round) {
          FileFetcher fetcher = fetcher_of(kind, 32, 4 * MiB);
          REQUIRE(fetcher.announce(folder.paths()));
          if (round % 2 == 0)
            CHECK(folder.judge(3, fetcher.take(folder.sizes[3].first)) == "right");
        }
      },
      kinds);
}

TEST_CASE("another thread and a forked child are refused, and take nothing from the owner") {
  const Deadline deadline(60);
  Folder folder;
  const std::vector paths{folder.add("f", 1000)};
  on_every_engine(
      [&](Kind kind) {
        FileFetcher fetcher = fetcher_of(kind);
        REQUIRE(fetcher.announce(paths));
        bool announced = true, taken = true;
        std::thread([&] {
          announced = fetcher.announce(paths);
          taken = fetcher.take(paths[0]).has_value();
        }).join();
        CHECK_FALSE(announced);
        CHECK_FALSE(taken);
        CHECK(in_child([&]() -> std::string {
                if (fetcher.announce(paths) || fetcher.take(paths[0])) return "not refused";
                fetcher.~FileFetcher();  // as Python's exit may do
                FileFetcher own = fetcher_of(kind);
                if (!own.announce(paths)) return "own refused";
                return folder.judge(0, own.take(paths[0]));
              }) == "right");
        CHECK(folder.judge(0, fetcher.take(paths[0])) == "right");
      },
      kinds);
}

TEST_CASE("dropped on another thread, with reads in flight too, a fetcher hurts nobody") {
  const Deadline deadline(60);
  Folder folder;
  for (int i = 0; i < 20; ++i) folder.add(numbered("f", i), 200'000);
  on_every_engine(
      [&](Kind kind) {
        for (const bool all_taken : {true, false}) {
          auto fetcher = std::make_unique<FileFetcher>(make(kind, 8, "/"), FileFetcherOptions{});
          REQUIRE(fetcher->announce(folder.paths()));
          for (std::size_t i = 0; all_taken && i < folder.sizes.size(); ++i) {
            CHECK(folder.judge(i, fetcher->take(folder.sizes[i].first)) == "right");
          }
          std::thread([&] { fetcher.reset(); }).join();
        }
      },
      kinds);
}

TEST_CASE("where io_uring is forbidden the pool reads the files") {
  Folder folder;
  const std::string path = folder.add("f", 1000);
  CHECK(in_child([&]() -> std::string {
          ::unsetenv("RINGFEED_READER");
          testing::deny(__NR_io_uring_setup, EPERM);
          FileFetcher fetcher(ReaderKind::automatic);
          if (fetcher.engine_name() != "pool") return "not the pool";
          fetcher.announce(std::vector{path});
          return folder.judge(0, fetcher.take(path));
        }) == "right");
}

TEST_CASE("a relative path counts from the working directory of each call") {
  Folder folder;
  folder.add("a/f", 1000);
  folder.add("b/f", 2000);
  CHECK(in_child([&]() -> std::string {
          FileFetcher fetcher(ReaderKind::automatic);
          std::filesystem::current_path(folder.dir / "a");
          fetcher.announce(std::vector<std::string>{"f", ""});
          std::filesystem::current_path(folder.dir / "b");
          if (fetcher.take("f")) return "another file's bytes";
          if (fetcher.take("")) return "no name, and yet bytes";
          return folder.judge(0, fetcher.take(folder.dir / "a/f"));
        }) == "right");
}

/// A fetcher over an engine that answers when the test says.
struct Fake {
  explicit Fake(std::uint32_t slots = 8, std::size_t bytes = MiB,
                std::function<void()> while_waiting = {}) {
    auto owned = std::make_unique<FakeEngine>(slots);
    engine = owned.get();
    fetcher = std::make_unique<FileFetcher>(
        std::move(owned),
        FileFetcherOptions{
            .read_ahead_bytes = bytes, .slots = slots, .while_waiting = std::move(while_waiting)});
  }
  /// From now on each poll answers all that is outstanding.
  void answer_all() {
    engine->on_poll = [e = engine](auto, auto& out) {
      while (!e->operations.empty()) out.push_back(e->answer(0));
    };
  }
  std::vector<std::string> add(int count, std::size_t size) {
    std::vector<std::string> paths;
    for (int i = 0; i < count; ++i) {
      paths.push_back(numbered("/f", i));
      engine->files[paths.back()] = content(paths.back(), size);
    }
    return paths;
  }
  std::string take(const std::string& path) {
    const Taken taken = fetcher->take(path);
    if (!taken) return "nothing";
    return *taken ? text_of(**taken) : "errno " + std::to_string(taken->error().code);
  }

  FakeEngine* engine;
  std::unique_ptr<FileFetcher> fetcher;
};

TEST_CASE("all files of a call are asked for before any of them is taken") {
  Fake fake(64, 64 * MiB);
  REQUIRE(fake.fetcher->announce(fake.add(50, 100)));
  CHECK(fake.engine->operations.size() == 50);
  fake.answer_all();
}

TEST_CASE("what is held stays within its bound until files are taken") {
  Fake fake(64, MiB);  // eight first reads of 128 KiB
  const auto paths = fake.add(20, 100'000);
  std::size_t most = 0;
  fake.engine->on_poll = [&](auto, auto& out) {
    std::size_t bytes = 0;
    for (const auto& operation : fake.engine->operations) bytes += operation.buffer.size();
    most = std::max(most, bytes);
    while (!fake.engine->operations.empty()) out.push_back(fake.engine->answer(0));
  };
  REQUIRE(fake.fetcher->announce(paths));
  CHECK(most <= MiB);
  CHECK(most > MiB / 2);
  for (const std::string& path : paths) CHECK(fake.take(path) == content(path, 100'000));
}

TEST_CASE("a file that could not be begun for lack of room is left to its caller, others are not") {
  Fake fake(64, MiB);
  const auto paths = fake.add(20, 100'000);
  fake.answer_all();
  REQUIRE(fake.fetcher->announce(paths));
  CHECK(fake.take(paths[19]) == "nothing");
  for (int i = 0; i < 19; ++i) CHECK(fake.take(paths[i]) == content(paths[i], 100'000));
  CHECK(fake.take(paths[19]) == "nothing");
}

TEST_CASE("a file that has to grow gets the room of files that nobody has taken") {
  Fake fake(4, MiB);
  const auto paths = fake.add(4, 700'000);
  fake.answer_all();
  REQUIRE(fake.fetcher->announce(paths));
  CHECK(fake.take(paths[3]) == content(paths[3], 700'000));
}

TEST_CASE("a file that is asked for is begun before those that wait") {
  Fake fake(4);
  const auto paths = fake.add(10, 10);
  std::vector<std::string> opened;
  fake.engine->on_poll = [&](auto, auto& out) {
    for (const auto& operation : fake.engine->operations) {
      if (operation.open && std::ranges::find(opened, operation.path) == opened.end()) {
        opened.push_back(operation.path);
      }
    }
    if (!fake.engine->operations.empty()) out.push_back(fake.engine->answer(0));
  };
  REQUIRE(fake.fetcher->announce(std::vector{paths[0]}));
  fake.engine->on_poll = [on_poll = fake.engine->on_poll](auto until, auto& out) {
    if (until != Engine::at_once) on_poll(until, out);
  };
  REQUIRE(fake.fetcher->announce(std::span(paths).last(9)));
  CHECK(fake.take("/f9") == content("/f9", 10));
  CHECK(opened[5] == "/f9");
}

TEST_CASE("a file larger than all that may be held is left to its caller") {
  Fake fake(4, MiB);
  const auto paths = fake.add(2, MiB + 1);
  fake.engine->files["/f1"] = content("/f1", MiB);
  fake.answer_all();
  REQUIRE(fake.fetcher->announce(paths));
  CHECK(fake.take("/f0") == "nothing");
  CHECK(fake.take("/f1") == content("/f1", MiB));
}

TEST_CASE("a file announced anew has the bytes of now") {
  Fake fake;
  const auto paths = fake.add(1, 10);
  fake.answer_all();
  REQUIRE(fake.fetcher->announce(paths));
  fake.engine->files["/f0"] = "new";
  REQUIRE(fake.fetcher->announce(paths));
  CHECK(fake.take("/f0") == "new");
}

TEST_CASE("of files that nobody takes a bounded number is remembered") {
  Fake fake(8, MiB);
  const auto paths = fake.add(1000, 0);
  fake.answer_all();
  for (int i = 0; i < 20; ++i) REQUIRE(fake.fetcher->announce(paths));
  int found = 0;
  for (int i = 0; i < 20; ++i) found += fake.fetcher->take("/f999") ? 1 : 0;
  CHECK(found == 17);
}

TEST_CASE("what the process lacks is left to the caller, what the file lacks is not") {
  Fake fake(4);
  const auto paths = fake.add(1, 10);
  for (const auto& [refusal, said] :
       {std::pair(EMFILE, "nothing"), std::pair(ENFILE, "nothing"), std::pair(ENOMEM, "nothing"),
        std::pair(EIO, "errno 5"), std::pair(EACCES, "errno 13")}) {
    fake.engine->on_poll = [&, error = refusal](auto, auto& out) {
      while (!fake.engine->operations.empty()) out.push_back(fake.engine->refuse(0, error));
    };
    REQUIRE(fake.fetcher->announce(paths));
    CHECK(fake.take("/f0") == said);
  }
}

TEST_CASE("the files are closed once all of a call have been read") {
  Fake fake(4);
  const auto paths = fake.add(6, 10);
  REQUIRE(fake.fetcher->announce(paths));
  CHECK(fake.engine->open.size() == 4);
  CHECK(fake.engine->closed_files == 0);
  fake.answer_all();
  CHECK(fake.take("/f0") == content("/f0", 10));
  CHECK(fake.engine->open.empty());
  CHECK(fake.engine->closed_files == 1);
}

TEST_CASE(
    "what is thrown while a file is waited for leaves it announced; calls within are refused") {
  int asked = 0;
  Fake* self = nullptr;
  Fake fake(4, MiB, [&] {
    CHECK_FALSE(self->fetcher->announce(std::vector<std::string>{"/f0"}));
    CHECK_FALSE(self->fetcher->take("/f0"));
    if (asked++ == 0) throw std::runtime_error("interrupted");
    self->answer_all();
  });
  self = &fake;
  REQUIRE(fake.fetcher->announce(fake.add(1, 10)));
  CHECK_THROWS_WITH(fake.fetcher->take("/f0"), "interrupted");
  CHECK(fake.take("/f0") == content("/f0", 10));
  CHECK(asked == 2);
}

TEST_CASE("reads that end only when they are cancelled are waited for at the end") {
  Fake fake(4);
  int cancelled = 0;
  fake.engine->on_poll = [&](auto, auto& out) {
    auto& operations = fake.engine->operations;
    while (!operations.empty() && operations[0].cancelled) {
      ++cancelled;
      out.push_back(fake.engine->refuse(0, ECANCELED));
    }
  };
  REQUIRE(fake.fetcher->announce(fake.add(6, 10)));
  fake.fetcher.reset();
  CHECK(cancelled == 4);
}

TEST_CASE("an engine that fails leaves every file to its caller") {
  Fake fake(4);
  const auto paths = fake.add(2, 10);
  REQUIRE(fake.fetcher->announce(paths));
  fake.engine->on_poll = [](auto, auto&) {
    throw std::system_error(ENOMEM, std::generic_category());
  };
  CHECK_FALSE(fake.fetcher->take("/f0"));
  CHECK_FALSE(fake.fetcher->take("/f1"));
  CHECK_FALSE(fake.fetcher->announce(paths));
}

}  // namespace
}  // namespace ringfeed::io
