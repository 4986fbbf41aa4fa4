#include <doctest/doctest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>

#include "pipeline/loader_test.h"
#include "support/held_opens.h"

using namespace ringfeed;
using namespace ringfeed::testing;

namespace {

/// Runs `child` in a forked process; its exit status. -1: it was killed.
template <class Child>
int in_a_fork(Child child) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::alarm(3);  // less than stop() gives a hung read
    ::_exit(child());
  }
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("an epoch delivers every sample once, with its label") {
  for (auto reader : readers) {
    const auto delivered = whole_epoch(small_options(reader));
    CHECK(delivered.size() == 105);
    std::set<std::uint32_t> indices;
    for (const auto& [position, sample] : delivered) {
      indices.insert(std::get<0>(sample));
      CHECK(std::get<1>(sample) == std::get<0>(sample) / 21);
    }
    CHECK(indices.size() == 105);
  }
}

TEST_CASE("order and pixels depend on seed, epoch and position alone") {
  const auto reference = whole_epoch(small_options());
  for (auto reader : readers) {
    for (int workers : {1, 2, 5}) {
      for (bool in_order : {true, false}) {
        auto options = small_options(reader);
        options.num_workers = workers;
        options.in_order = in_order;
        options.batch_size = 4 + workers;
        options.depth = 3 * workers;
        CHECK(whole_epoch(options) == reference);
      }
    }
  }
  CHECK(whole_epoch(small_options(), 4) != reference);
  auto other = small_options();
  other.seed = 1;
  CHECK(whole_epoch(other) != reference);
}

TEST_CASE("the ranks' epochs together are the epoch of one process") {
  const auto reference = whole_epoch(small_options());
  for (auto uneven : {Uneven::pad, Uneven::keep}) {
    Delivered together;
    for (int rank = 0; rank < 4; ++rank) {
      auto options = small_options();
      options.rank = rank;
      options.world_size = 4;
      options.uneven = uneven;
      collect(Loader(open(folder().root()), small_plan(), options).epoch(3), together);
    }
    CHECK(together.size() == (uneven == Uneven::pad ? 108 : 105));
    together.erase(together.lower_bound(105), together.end());
    CHECK(together == reference);
  }
}

TEST_CASE("drop_last leaves the partial batch out, and batches_per_epoch says so") {
  for (bool drop_last : {false, true}) {
    auto options = small_options();
    options.drop_last = drop_last;
    Loader loader(open(folder().root()), small_plan(), options);
    std::size_t batches = 0, samples = 0;
    for (Batch& batch : loader.epoch(0)) {
      ++batches;
      samples += batch.size();
    }
    CHECK(batches == loader.batches_per_epoch());
    CHECK(samples == (drop_last ? 104 : 105));
  }
}

TEST_CASE("a failed sample raises at its batch, names stage and file, and the epoch goes on") {
  for (auto reader : readers) {
    SampleFolder files(2, 20);
    std::filesystem::resize_file(files.file(0, 9), 300);
    auto dataset = open(files.root());
    std::filesystem::remove(files.file(1, 3));
    auto options = small_options(reader);
    options.batch_size = 4;
    options.shuffle = false;
    Loader loader(dataset, small_plan(), options);
    Epoch epoch = loader.epoch(0);
    std::vector<std::string> faults;
    std::vector<std::int64_t> batches;
    while (const NextBatch next = epoch.try_next()) {
      CHECK(next.batch.has_value() != next.error.has_value());
      if (next.batch) {
        batches.push_back(next.batch->number);
      } else {
        faults.push_back(std::string(to_string(next.error->stage)) + " " + next.error->path +
                         " after " + std::to_string(batches.size()));
      }
    }
    CHECK(batches == std::vector<std::int64_t>{0, 1, 3, 4, 6, 7, 8, 9});
    REQUIRE(faults.size() == 2);
    CHECK(faults[0] == "decode " + files.file(0, 9).string() + " after 2");
    CHECK(faults[1] == "open " + files.file(1, 3).string() + " after 4");
    CHECK(loader.stats().read.failed == 1);
    CHECK(loader.stats().decode.failed == 1);
  }
}

TEST_CASE("next() throws the error that try_next() gives, and both go on behind it") {
  SampleFolder files(1, 3);
  std::filesystem::resize_file(files.file(0, 1), 300);
  auto options = small_options();
  options.batch_size = 1;
  options.shuffle = false;
  Loader loader(open(files.root()), small_plan(), options);
  Epoch values = loader.epoch(0);
  CHECK(values.try_next().batch->number == 0);
  const NextBatch failed = values.try_next();
  REQUIRE(failed.error);
  CHECK(values.progress() == Progress{2, {}});
  CHECK(values.next()->number == 2);
  CHECK_FALSE(values.try_next());

  Epoch exceptions = loader.epoch(0);
  CHECK(exceptions.next()->number == 0);
  CHECK_THROWS_WITH_AS((void)exceptions.next(), failed.error->message().c_str(), LoadError);
  CHECK(exceptions.progress() == Progress{2, {}});
  CHECK(exceptions.try_next().batch->number == 2);
  CHECK_FALSE(exceptions.next());
}

TEST_CASE("a list of no entries is an epoch of no batches, and no list is the whole dataset") {
  for (const Uneven uneven : {Uneven::pad, Uneven::drop, Uneven::keep}) {
    auto options = small_options();
    options.uneven = uneven;
    options.rank = 1;
    options.world_size = 2;
    options.indices.emplace();
    Loader none(open(folder().root()), small_plan(), options);
    CHECK(none.samples_per_epoch() == 0);
    CHECK(none.batches_per_epoch() == 0);
    CHECK(none.draws(0).empty());
    CHECK_FALSE(none.epoch(0).try_next());
    options.indices.reset();
    Loader all(open(folder().root()), small_plan(), options);
    CHECK(all.samples_per_epoch() == (uneven == Uneven::pad ? 53 : 52));
  }
}

TEST_CASE("a FIFO, an empty file and one over the size limit are errors, not hangs") {
  for (auto reader : readers) {
    SampleFolder files(1, 4);
    files.write("c00/empty.JPEG", "");
    files.write("c00/huge.JPEG", make_jpeg(40, 30, 1) + std::string(1 << 20, 'x'));
    REQUIRE(::mkfifo((files.root() / "c00/pipe.JPEG").c_str(), 0600) == 0);
    auto options = small_options(reader);
    options.batch_size = 1;
    Loader loader(open(files.root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    std::set<std::string> failed;
    std::size_t good = 0;
    while (const NextBatch next = epoch.try_next()) {
      if (next.batch) {
        ++good;
      } else {
        failed.insert(std::filesystem::path(next.error->path).filename());
      }
    }
    CHECK(good == 4);
    CHECK(failed == std::set<std::string>{"empty.JPEG", "huge.JPEG", "pipe.JPEG"});
  }
}

TEST_CASE("files many times the first guess load with memory at its minimum") {
  for (auto reader : readers) {
    SampleFolder files(1, 1);
    std::string jpeg = make_jpeg(64, 64, 5);
    for (int i = 0; i < 40; ++i) {
      // A comment segment makes the file long; decoders skip it.
      std::string padded = jpeg.substr(0, 2);
      for (int segment = 0; segment < 9; ++segment) {
        padded += std::string("\xff\xfe\xff\xff", 4) + std::string(0xfffd, static_cast<char>(i));
      }
      files.write("c00/big" + std::to_string(i) + ".JPEG", padded + jpeg.substr(2));
    }
    auto options = small_options(reader);
    options.read_ahead_bytes = 256 << 10;
    Loader loader(open(files.root()), small_plan(), options);
    Delivered delivered;
    collect(loader.epoch(0), delivered);
    CHECK(delivered.size() == 41);
    CHECK(loader.stats().read_ahead_bytes_peak <= (256u << 10) + (1u << 20) + 4096);
  }
}

TEST_CASE("a cut file that looks whole is read again while large ones hold every slot and byte") {
  for (auto reader : readers) {
    SampleFolder files(1, 0);
    const std::string cut = std::string("\xff\xd8\xff\xe1\xff\xff", 6) + std::string(9000, 'x');
    const std::string jpeg = make_jpeg(64, 64, 5);
    for (int i = 0; i < 20; ++i) {
      const std::string name = "c00/" + std::to_string(10 + i);
      files.write(name + "a.JPEG", cut + "\xff\xd9");
      files.write(name + "b.JPEG", jpeg + std::string(500'000, 'x'));
    }
    auto options = small_options(reader);
    options.batch_size = 1;
    options.shuffle = false;
    options.depth = 1;
    options.read_ahead_bytes = 256 << 10;
    options.timeout = std::chrono::seconds(20);  // so that a stall is a failure, not a hang
    Loader loader(open(files.root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    int whole = 0, failed = 0;
    while (const NextBatch next = epoch.try_next()) ++(next.batch ? whole : failed);
    CHECK(whole == 20);
    CHECK(failed == 20);
  }
}

TEST_CASE("stop at any moment, from another thread, ends the epoch and hangs nothing") {
  const unsigned seed = std::random_device{}();
  INFO("seed " << seed);
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    auto options = small_options(readers[round % 2]);
    options.batch_size = 2;
    Loader loader(open(folder().root()), small_plan(), options);
    Epoch epoch = loader.epoch(0);
    const auto stop_at = random() % 40;
    std::atomic<std::size_t> taken{0};
    std::thread stopper([&] {
      while (taken.load() < stop_at) std::this_thread::yield();
      loader.stop();
    });
    while (epoch.next()) ++taken;
    taken = 1000;
    stopper.join();
    CHECK_FALSE(epoch.next());
    CHECK_FALSE(loader.epoch(1).next());
  }
}

TEST_CASE("a loader stopped while an epoch begins frees everything") {
  const auto allocator = std::make_shared<TestAllocator>();
  const auto dataset = open(folder().root());
  for (int round = 0; round < 50; ++round) {
    auto options = small_options(readers[round % 2]);
    options.allocator = allocator;
    Loader loader(dataset, small_plan(), options);
    (void)loader.epoch(0).next();
    Epoch epoch = loader.epoch(1);
    std::atomic<bool> go{false};
    std::thread stopper([&] {
      while (!go) std::this_thread::yield();
      loader.stop();
    });
    go = true;
    (void)epoch.next();
    stopper.join();
  }
  CHECK(*allocator->out == 0);
}

TEST_CASE("an epoch dropped half way leaves the next one whole") {
  for (auto reader : readers) {
    const auto reference = whole_epoch(small_options(reader), 9);
    Loader loader(open(folder().root()), small_plan(), small_options(reader));
    for (int i = 0; i < 10; ++i) {
      Epoch epoch = loader.epoch(static_cast<std::uint64_t>(i));
      for (int batch = 0; batch < i; ++batch) CHECK(epoch.next());
    }
    Delivered delivered;
    collect(loader.epoch(9), delivered);
    CHECK(delivered == reference);
  }
}

TEST_CASE("an epoch that another one has replaced says so instead of ending early") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  Epoch first = loader.epoch(0);
  CHECK(first.next());
  Epoch second = loader.epoch(1);
  CHECK_MESSAGE(first.next(), "the second has not begun");
  CHECK(second.next());
  CHECK_THROWS_AS(first.next(), std::logic_error);
  CHECK(second.next());
}

TEST_CASE("abandoned epochs' batches are freed before the next epoch's are allocated") {
  const auto allocator = std::make_shared<TestAllocator>();
  auto options = small_options();
  options.allocator = allocator;
  Loader loader(open(folder().root()), small_plan(), options);
  for (std::uint64_t i = 0; i < 30; ++i) CHECK(loader.epoch(i).next());
  CHECK(allocator->most == options.prefetch_factor + 1);  // one is the caller's
}

TEST_CASE("batches the caller keeps stay as they were") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  std::vector<Batch> kept;
  std::vector<std::string> bytes;
  for (int pass = 0; pass < 3; ++pass) {
    for (Batch& batch : loader.epoch(static_cast<std::uint64_t>(pass))) {
      const auto pixels = batch.pixels();
      bytes.emplace_back(reinterpret_cast<const char*>(pixels.data()), pixels.size());
      kept.push_back(std::move(batch));
    }
  }
  loader.stop();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    const auto pixels = kept[i].pixels();
    CHECK(bytes[i] == std::string(reinterpret_cast<const char*>(pixels.data()), pixels.size()));
  }
}

TEST_CASE("no batch within the timeout is a TimeoutError, and the epoch can go on") {
  auto options = small_options();
  options.timeout = std::chrono::nanoseconds(1);
  Loader loader(open(folder().root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  int timeouts = 0;
  std::size_t samples = 0;
  for (;;) {
    try {
      auto batch = epoch.next();
      if (!batch) break;
      samples += batch->size();
    } catch (const TimeoutError&) {
      ++timeouts;
    }
  }
  CHECK(timeouts > 0);
  CHECK(samples == 105);
  CHECK(loader.stats().deliver.count == loader.batches_per_epoch());
}

TEST_CASE("next() goes on after the allocator has thrown, and no batch is lost") {
  for (int prefetch : {1, 3}) {
    for (int refused = 0; refused < 14; ++refused) {
      auto options = small_options();
      options.prefetch_factor = prefetch;
      options.timeout = std::chrono::seconds(20);
      const auto allocator = std::make_shared<TestAllocator>();
      allocator->refused = refused;
      options.allocator = allocator;
      Loader loader(open(folder().root()), small_plan(), options);
      Epoch epoch = loader.epoch(0);
      std::size_t samples = 0;
      for (;;) {
        try {
          auto batch = epoch.next();
          if (!batch) break;
          samples += batch->size();
        } catch (const std::bad_alloc&) {
        }
      }
      CHECK(samples == 105);
      CHECK(allocator->calls == 15);
    }
  }
}

TEST_CASE("next() goes on after the threads could not be started") {
  ::setenv("RINGFEED_READER", "neither", 1);
  auto options = small_options();
  options.timeout = std::chrono::seconds(20);
  Loader loader(open(folder().root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  CHECK_THROWS_AS((void)epoch.next(), std::invalid_argument);
  ::unsetenv("RINGFEED_READER");
  Delivered delivered;
  collect(std::move(epoch), delivered);
  CHECK(delivered.size() == 105);
}

TEST_CASE("on a file system that hangs the timeout names the files and stopping returns") {
  SampleFolder files(1, 3);
  const HeldOpens opens(files.root() / "c00");
  if (!opens.works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  auto options = small_options(ReaderKind::pool);
  options.timeout = std::chrono::milliseconds(200);
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  std::string message;
  try {
    (void)epoch.next();
  } catch (const TimeoutError& error) {
    message = error.what();
  }
  CHECK(message.find("in " + files.root().string()) != std::string::npos);
  for (int i = 0; i < 3; ++i) {
    CHECK(message.find(files.file(0, i).filename().string()) != std::string::npos);
  }
  loader.stop();
  CHECK_FALSE(epoch.next());
  // The loader is destroyed with its reads still held; they end in memory that is never freed.
}

TEST_CASE("all of the depth is used where reads do not come back at once") {
  constexpr int depth = 300;  // the window begins with fewer
  SampleFolder files(1, depth);
  std::optional<HeldOpens> opens(std::in_place, files.root() / "c00");
  if (!opens->works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  auto options = small_options(ReaderKind::pool);  // the ring's own thread would be held
  options.num_workers = 1;
  options.depth = depth;
  options.timeout = std::chrono::milliseconds(50);
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (loader.stats().files_in_flight < depth && std::chrono::steady_clock::now() < limit) {
    CHECK_THROWS_AS((void)epoch.next(), TimeoutError);
  }
  CHECK(loader.stats().files_in_flight == depth);
  opens.reset();
}

TEST_CASE("all of the depth is used where one slow read keeps the others from their cells") {
  constexpr int others = 299;
  SampleFolder files(1, others);
  files.write("b/first.jpg", make_jpeg(40, 30, 1));
  std::optional<HeldOpens> opens(std::in_place, files.root() / "b");
  if (!opens->works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  auto options = small_options(ReaderKind::pool);
  options.num_workers = 1;
  options.depth = 1 + others;
  options.shuffle = false;
  options.timeout = std::chrono::milliseconds(50);
  Loader loader(open(files.root()), small_plan(), options);
  Epoch epoch = loader.epoch(0);
  const auto open_cells = static_cast<std::uint64_t>(2 * options.batch_size - 1);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (loader.stats().encoded_ready < others - open_cells &&
         std::chrono::steady_clock::now() < limit) {
    CHECK_THROWS_AS((void)epoch.next(), TimeoutError);
  }
  CHECK(loader.stats().encoded_ready == others - open_cells);
  opens.reset();
}

TEST_CASE("in a forked child next() throws and destructors return") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  Epoch epoch = loader.epoch(0);
  REQUIRE(epoch.next());
  CHECK(in_a_fork([&] {
          int code = 1;
          try {
            (void)epoch.next();
          } catch (const std::logic_error&) {
            code = 0;
          }
          Epoch dropped = std::move(epoch);
          Loader gone = std::move(loader);
          return code;
        }) == 0);
  while (epoch.next()) {
  }
}

TEST_CASE("in a forked child stop() returns at once") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  Epoch epoch = loader.epoch(0);
  REQUIRE(epoch.next());
  CHECK(in_a_fork([&] {
          loader.stop();
          return 0;
        }) == 0);
}

TEST_CASE("in a forked child an epoch that outlived its loader is dropped without a wait") {
  auto loader = std::make_unique<Loader>(open(folder().root()), small_plan(), small_options());
  auto epoch = std::make_unique<Epoch>(loader->epoch(0));
  REQUIRE(epoch->next());
  loader.reset();
  CHECK(in_a_fork([&] {
          epoch.reset();
          return 0;
        }) == 0);
}

TEST_CASE("a memory limit too small states the least that works, and that works") {
  auto options = small_options();
  options.limits.max_decoder_bytes = 8 << 20;
  options.memory_limit = 1000;
  std::string message;
  try {
    Loader loader(open(folder().root()), small_plan(), options);
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  const auto at = message.find("at least ");
  REQUIRE(at != std::string::npos);
  options.memory_limit = std::stoull(message.substr(at + 9));
  Loader loader(open(folder().root()), small_plan(), options);
  CHECK(loader.memory_bound() == options.memory_limit);
  Delivered delivered;
  collect(loader.epoch(0), delivered);
  CHECK(delivered.size() == 105);
}

TEST_CASE("options that make no sense are refused when the loader is made") {
  const auto dataset = open(folder().root());
  const auto refuses = [&](auto change) {
    auto options = small_options();
    change(options);
    CHECK_THROWS_AS(Loader(dataset, small_plan(), options), std::invalid_argument);
  };
  refuses([](auto& o) { o.batch_size = 0; });
  refuses([](auto& o) { o.num_workers = -1; });
  refuses([](auto& o) { o.prefetch_factor = 0; });
  refuses([](auto& o) { o.rank = 1; });
  refuses([](auto& o) { o.max_file_bytes = 0; });
  refuses([](auto& o) { o.read_ahead_bytes = 1; });
  refuses([](auto& o) { o.indices = std::vector<std::uint32_t>{105}; });
}

TEST_CASE("dropping a superseded epoch does not stop the clock of the next") {
  Loader loader(open(folder().root()), small_plan(), small_options());
  auto first = std::make_unique<Epoch>(loader.epoch(0));
  REQUIRE(first->next());
  Epoch second = loader.epoch(1);
  REQUIRE(second.next());
  first.reset();
  const double before = loader.stats().wall_seconds;
  CHECK(loader.stats().wall_seconds > before);
}

TEST_CASE("statistics count every file, and name the reader") {
  for (auto reader : readers) {
    Loader loader(open(folder().root()), small_plan(), small_options(reader));
    for (Batch& batch : loader.epoch(0)) (void)batch;
    const Stats stats = loader.stats();
    CHECK(stats.read.count == 105);
    CHECK(stats.decode.count == 105);
    CHECK(stats.deliver.count == loader.batches_per_epoch());
    CHECK(stats.reader == (reader == ReaderKind::ring ? "ring" : "pool"));
    CHECK(stats.wall_seconds > 0);
  }
}
