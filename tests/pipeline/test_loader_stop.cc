// Stops, timeouts, set-ups that fail, forks.
#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "pipeline/loader_test.h"
#include "support/deny.h"
#include "support/held_opens.h"
#include "support/in_child.h"

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
  std::optional<HeldOpens> opens(std::in_place, files.root() / "c00");
  if (!opens->works()) {
    MESSAGE("SKIPPED, fanotify permission events need root");
    return;
  }
  /// As long as its loader lives.
  struct Allocator final : BatchAllocator {
    BatchMemory allocate(std::size_t bytes) override { return plain.allocate(bytes); }
    ~Allocator() override { gone.set_value(); }
    TestAllocator plain;
    std::promise<void> gone;
  };
  auto options = small_options(ReaderKind::pool);
  options.timeout = std::chrono::milliseconds(200);
  auto allocator = std::make_shared<Allocator>();
  std::future<void> gone = allocator->gone.get_future();
  options.allocator = std::move(allocator);
  std::optional<Loader> loader(std::in_place, open(files.root()), small_plan(), options);
  options.allocator = nullptr;
  std::optional<Epoch> epoch = loader->epoch(0);
  std::string message;
  try {
    (void)epoch->next();
  } catch (const TimeoutError& error) {
    message = error.what();
  }
  CHECK(message.find("in " + files.root().string()) != std::string::npos);
  for (int i = 0; i < 3; ++i) {
    CHECK(message.find(files.file(0, i).filename().string()) != std::string::npos);
  }
  loader->stop();
  CHECK_FALSE(epoch->next());
  epoch.reset();
  loader.reset();
  CHECK(gone.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  opens.reset();  // answers
  CHECK(gone.wait_for(std::chrono::seconds(60)) == std::future_status::ready);
}

TEST_CASE("where no thread can be started the error says so, and what to do") {
  const std::string said = in_child([]() -> std::string {
    deny_threads();
    Loader loader(open(folder().root()), small_plan(), small_options(ReaderKind::pool));
    try {
      (void)loader.epoch(0).next();
    } catch (const LoadError& error) {
      return error.what();
    }
    return "loaded";
  });
  CHECK(said.starts_with("setup: Resource temporarily unavailable: no thread can be started"));
  CHECK(
      said.ends_with("(ulimit -u, the container's pids) or on memory (ulimit -v), or lower "
                     "num_workers"));
}

/// What a loader says that may have so many bytes of address space beyond those it has; empty where
/// a sanitizer's shadow takes more than there is.
std::string said_within(std::size_t more, const LoaderOptions& options) {
  return in_child([&]() -> std::string {
    std::size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t most = pages * 4096 + more;
    if (pages > (std::size_t{1} << 36) / 4096) return "";
    const rlimit limit{most, most};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) return "no limit";
    Loader loader(open(folder().root()), small_plan(), options);
    try {
      while (loader.epoch(0).next()) {
      }
    } catch (const std::exception& error) {
      return error.what();
    }
    return "loaded";
  });
}

TEST_CASE("where there is no address space the error says for what, and what to lower") {
  constexpr std::size_t mib = std::size_t{1} << 20;
  constexpr const char* limit =
      ", or raise the process's limit on memory (ulimit -v, the container's)";
  auto options = small_options(ReaderKind::pool);
  options.read_ahead_bytes = 1024 * mib;
  options.max_file_bytes = 512 * mib;
  const std::string ahead = said_within(900 * mib, options);
  if (ahead.empty()) return;
  CHECK(ahead == std::string("no address space for the 1073741824 bytes that are read ahead; lower "
                             "read_ahead_bytes") +
                     limit);
  const std::string file = said_within(1400 * mib, options);
  CHECK(file.find("bytes kept for one large file; lower max_file_bytes") != file.npos);
  options = small_options(ReaderKind::pool);
  options.num_workers = 1024;
  const std::string workers = said_within(0, options);
  CHECK_MESSAGE(workers.find("lower num_workers") != workers.npos, workers);
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
