// How many threads the pool has.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/thread_start.h"
#include "engine_test.h"
#include "io/pool_threads.h"
#include "support/deny.h"
#include "support/held_opens.h"

namespace ringfeed::io {
namespace {

using std::chrono::milliseconds;
using testing::HeldOpens;

constexpr std::uint32_t slots = 24, few = 4, growth = 16;

/// The threads of the pool that is made next. Other tests leave pools behind that hang.
class PoolTasks {
 public:
  std::vector<pid_t> ids() const {
    std::vector<pid_t> found;
    for (const std::string& task : named()) {
      if (!others_.contains(task)) found.push_back(std::stoi(task));
    }
    return found;
  }

 private:
  static std::set<std::string> named() {
    std::set<std::string> tasks;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream comm(task.path() / "comm");
      std::string name;
      std::getline(comm, name);
      if (name.starts_with("rf-read-")) tasks.insert(task.path().filename());
    }
    return tasks;
  }

  const std::set<std::string> others_ = named();
};

/// A pool over a storage that answers for some files only when it is told to.
struct Storage {
  Storage() {
    dir.write("file", "content");
    for (std::uint32_t i = 0; i < slots; ++i) {
      slow.push_back(numbered("slow", static_cast<int>(i)) + "/file");
      dir.write(slow.back(), "content");
      // A folder each: one answer wakes whoever waits in the same.
      held.push_back(std::make_unique<HeldOpens>((dir / slow.back()).parent_path()));
    }
    if (!works()) MESSAGE("SKIPPED, fanotify permission events need root");
  }
  bool works() const { return held.front()->works(); }
  std::size_t threads() const { return tasks.ids().size(); }

  void start(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = first; i < first + count; ++i) {
      engine->open_and_read(i, "file", buffers[i], 0);
    }
  }
  void start_slow(std::uint32_t first, std::uint32_t count) {
    for (std::uint32_t i = first; i < first + count; ++i) {
      engine->open_and_read(i, slow[i].c_str(), buffers[i], 0);
      started.push_back(i);
    }
  }
  /// Waits until the next `count` slow files are asked for.
  void hold(std::size_t count) {
    for (; count > 0; --count) {
      opens.push_back({started.front(), held[started.front()]->next()});
      started.pop_front();
    }
  }
  /// Waits until whatever is held is a slow operation, and makes one more of those.
  void be_slow() const {
    for (const pid_t id : tasks.ids()) {
      while (!asleep(id)) std::this_thread::yield();
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  void answer_one() {
    const auto [slot, event] = opens.front();
    held[slot]->allow(event);
    opens.pop_front();
  }
  void answer_all() {
    while (!opens.empty()) answer_one();
  }
  /// Polls until `count` operations are done.
  void finish(std::uint32_t count) {
    std::vector<Engine::Completion> out;
    while (out.size() < count) engine->poll(Engine::for_ever, out);
    CHECK(out.size() == count);
    CHECK(std::ranges::all_of(out, [](const auto& done) { return done.result == 7; }));
  }
  /// Long enough for whatever the pool might do by itself.
  void poll_for_a_while() const {
    std::vector<Engine::Completion> out;
    const auto end = Engine::Clock::now() + milliseconds(250);
    while (Engine::Clock::now() < end) engine->poll(end, out);
    CHECK(out.empty());
  }
  /// Slow files in all slots, until all that are not answered are asked for at once.
  void grow_to_most() {
    start_slow(0, slots);
    hold(few);
    std::size_t waiting = slots - few;
    while (waiting > 0) {
      CHECK(threads() == opens.size());
      be_slow();
      answer_one();
      // The threads that this brings, and the one that has answered, ask for the next.
      const std::size_t next = std::min<std::size_t>(waiting, growth + 1);
      hold(next);
      waiting -= next;
    }
    answer_all();
    finish(slots);
  }

  const Deadline deadline{60};
  const PoolTasks tasks;
  const TempDir dir;
  std::vector<std::string> slow;
  std::vector<std::unique_ptr<HeldOpens>> held;
  std::deque<std::uint32_t> started;  ///< slow ones, not asked for yet
  std::deque<std::pair<std::uint32_t, fanotify_event_metadata>> opens;
  std::vector<Bytes> buffers = std::vector<Bytes>(slots, Bytes(16));
  std::unique_ptr<Engine> engine =
      make_pool_engine(PoolEngineOptions{{.slots = slots, .root = dir.path()}, 0, few});
};

TEST_CASE("a storage that does not answer from the start holds few threads") {
  Storage storage;
  if (!storage.works()) return;
  storage.start_slow(0, slots);
  storage.hold(few);
  storage.poll_for_a_while();
  CHECK(storage.threads() == few);
  std::vector<Engine::Completion> out;
  for (std::uint32_t i = 0; i < slots; ++i) storage.engine->cancel(i);
  while (out.size() < slots - few) storage.engine->poll(Engine::for_ever, out);
  storage.answer_all();
  storage.finish(few);
}

TEST_CASE("a storage that hangs after files from memory holds few threads") {
  Storage storage;
  if (!storage.works()) return;
  storage.start(0, few);
  storage.finish(few);
  storage.start_slow(0, few);
  storage.hold(few);
  storage.start(few, slots - few);
  storage.poll_for_a_while();
  CHECK(storage.threads() == few);
  storage.answer_all();
  storage.finish(slots);
}

TEST_CASE("each slow answer brings some threads, up to one for each operation") {
  Storage storage;
  if (!storage.works()) return;
  storage.grow_to_most();
}

TEST_CASE("files that wait get no threads from a slow answer where the others wait for a core") {
  // Reads that take some milliseconds without sleeping.
  const Deadline deadline(60);
  const PoolTasks tasks;
  constexpr std::uint32_t reads = 8;
  std::vector<Bytes> buffers(reads, Bytes(4 << 20));
  const auto engine = make_pool_engine(PoolEngineOptions{{.slots = reads, .root = "/"}, 0, 2});
  for (std::uint32_t i = 0; i < reads; ++i) {
    engine->open_and_read(i, "dev/urandom", buffers[i], 0);
  }
  std::vector<Engine::Completion> out;
  while (out.size() < reads) engine->poll(Engine::for_ever, out);
  CHECK(std::ranges::all_of(out, [](const auto& done) { return done.result == 4 << 20; }));
  CHECK(tasks.ids().size() == 2);
}

TEST_CASE("files in memory are read by few threads, however many at once") {
  Storage storage;
  storage.start(0, slots);
  storage.finish(slots);
  CHECK(storage.threads() <= few);
}

TEST_CASE("two threads a core are few, and four at least") {
  const Deadline deadline(60);
  const PoolTasks tasks;
  const TempDir dir;
  dir.write("file", "content");
  const HeldOpens held(dir.path());
  if (!held.works()) return;
  constexpr std::uint32_t many = 1024;
  std::vector<Bytes> buffers(many, Bytes(16));
  const auto engine = make_pool_engine(EngineOptions{.slots = many, .root = dir.path()});
  for (std::uint32_t i = 0; i < engine->slots(); ++i) {
    engine->open_and_read(i, "file", buffers[i], 0);
  }
  const std::size_t threads = tasks.ids().size();
  CHECK(threads >= 4);
  CHECK(threads <= std::max(4u, 2 * std::thread::hardware_concurrency()));
  std::vector<fanotify_event_metadata> opens;
  while (opens.size() < threads) opens.push_back(held.next());
  for (std::uint32_t i = 0; i < engine->slots(); ++i) engine->cancel(i);
  for (const auto& event : opens) held.allow(event);
}

TEST_CASE("files that are stuck hold up no others, though they hold as many threads as are few") {
  for (const bool was_slow : {false, true}) {
    Storage storage;
    if (!storage.works()) return;
    if (was_slow) storage.grow_to_most();
    for (std::uint32_t i = 0; i < 2 * few; ++i) {
      storage.start_slow(i, 1);
      storage.hold(1);
      storage.start(i + 1, slots - i - 1);
      storage.finish(slots - i - 1);
    }
    storage.answer_all();
    storage.finish(2 * few);
  }
}

TEST_CASE("files that wait behind stuck ones are read, though nothing else happens meanwhile") {
  Storage storage;
  if (!storage.works()) return;
  storage.start_slow(0, few - 1);
  storage.hold(few - 1);
  storage.start(few - 1, 1);
  storage.start_slow(few, 1);
  storage.start(few + 1, slots - few - 1);
  storage.finish(slots - few);
  storage.answer_all();
  storage.hold(1);
  storage.answer_all();
  storage.finish(few);
}

TEST_CASE("threads that a slow storage needed end once they have nothing to do") {
  Storage storage;
  if (!storage.works()) return;
  for (int times = 0; times < 2; ++times) {
    storage.grow_to_most();
    while (storage.threads() > few) std::this_thread::sleep_for(milliseconds(10));
    storage.start(0, slots);
    storage.finish(slots);
    CHECK(storage.threads() == few);
  }
  storage.engine.reset();
  CHECK(storage.threads() == 0);
}

TEST_CASE("the threads that files need stay, the others end") {
  Storage storage;
  if (!storage.works()) return;
  storage.grow_to_most();
  while (storage.threads() > few) {
    storage.start(0, 1);
    storage.finish(1);
  }
}

TEST_CASE("threads refused to a slow storage: the pool goes on with those it has and says so") {
  const std::string said = in_child([]() -> std::string {
    Storage storage;
    if (!storage.works()) return "thread 5 refused (EAGAIN), using 4";
    storage.start_slow(0, slots);
    storage.hold(few);
    testing::deny_threads();
    storage.be_slow();
    storage.answer_one();
    storage.hold(1);
    storage.held.clear();  // answers
    storage.finish(slots);
    return storage.engine->note();
  });
  CHECK(said == "thread 5 refused (EAGAIN), using 4");
}

TEST_CASE("a pool that ends while slow answers bring threads ends with all of them") {
  for (int times = 0; times < 5; ++times) {
    Storage storage;
    if (!storage.works()) return;
    storage.start_slow(0, slots);
    storage.hold(few);
    storage.be_slow();
    std::thread server([&] {
      storage.answer_all();
      storage.held.clear();
    });
    storage.engine.reset();
    server.join();
    CHECK(storage.threads() == 0);
  }
}

TEST_CASE("a slow answer that comes when the pool has ended starts no thread") {
  int begun = 0;
  PoolThreads* threads = nullptr;
  PoolThreads pool(1, 8, [&](PoolWorker& self) {
    const MutexLock lock(threads->mutex);
    threads->has_come(self);
    ++begun;
  });
  threads = &pool;
  {
    const MutexLock lock(pool.mutex);
    pool.start_first();
  }
  pool.stop();
  {
    const MutexLock lock(pool.mutex);
    pool.grow(8);
  }
  pool.stop();  // joins what there should not be
  CHECK(begun == 1);
}

}  // namespace
}  // namespace ringfeed::io
