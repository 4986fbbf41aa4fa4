#include <doctest/doctest.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/thread_start.h"
#include "support/deny.h"
#include "support/in_child.h"

namespace ringfeed {
namespace {

TEST_CASE("a small thread has its name, a small stack and every signal blocked") {
  sem_t go;
  sem_init(&go, 0, 0);
  char name[16] = "";
  std::size_t stack = 0;
  bool blocked = false;
  SmallThread thread("rf-read-1234567890", [&] {
    sem_wait(&go);  // its starter names it
    pthread_getname_np(pthread_self(), name, sizeof name);
    pthread_attr_t attributes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstacksize(&attributes, &stack);
    pthread_attr_destroy(&attributes);
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGINT) == 1 && sigismember(&mask, SIGTERM) == 1;
  });
  CHECK(thread.joinable());
  SmallThread same = std::move(thread);
  CHECK(!thread.joinable());  // NOLINT(bugprone-use-after-move)
  sem_post(&go);
  same.join();
  CHECK(!same.joinable());
  sem_destroy(&go);
  CHECK(std::string(name) == "rf-read-1234567");
  CHECK(stack > 0);
  CHECK(stack <= SmallThread::stack_bytes);
  CHECK(blocked);
}

TEST_CASE("a small thread that cannot be had is EAGAIN") {
  const std::string said = testing::in_child([]() -> std::string {
    testing::deny_threads();
    try {
      SmallThread("refused", [] {}).join();
    } catch (const std::system_error& error) {
      return error.code().value() == EAGAIN ? "EAGAIN" : error.what();
    }
    return "started";
  });
  CHECK(said == "EAGAIN");
}

TEST_CASE("a thread that waits sleeps, one that computes does not") {
  sem_t go;
  sem_init(&go, 0, 0);
  std::atomic<pid_t> id = 0;
  std::atomic<bool> computes = false, stop = false;
  SmallThread thread("test", [&] {
    id = ::gettid();
    sem_wait(&go);
    computes = true;
    while (!stop) {
    }
  });
  while (id == 0) std::this_thread::yield();
  while (!asleep(id)) std::this_thread::yield();
  sem_post(&go);
  while (!computes) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) CHECK(!asleep(id));
  stop = true;
  thread.join();
  sem_destroy(&go);
}

}  // namespace
}  // namespace ringfeed
