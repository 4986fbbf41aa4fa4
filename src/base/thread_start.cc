#include "base/thread_start.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/file_descriptor.h"
#include "base/retry.h"

namespace ringfeed {
namespace {

// A new thread inherits the mask, so it never runs a moment with signals open.
class BlockSignals {
 public:
  BlockSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockSignals(const BlockSignals&) = delete;
  BlockSignals& operator=(const BlockSignals&) = delete;

 private:
  sigset_t before_;
};

using Body = std::function<void()>;

extern "C" void* run_body(void* body) {
  const std::unique_ptr<Body> own(static_cast<Body*>(body));
  (*own)();
  return nullptr;
}

void set_name(pthread_t thread, const std::string& name) {
  pthread_setname_np(thread, name.substr(0, 15).c_str());
}

}  // namespace

std::thread start_thread(const std::string& name, std::function<void()> body) {
  BlockSignals block;
  std::thread thread(std::move(body));
  set_name(thread.native_handle(), name);
  return thread;
}

SmallThread::SmallThread(const std::string& name, std::function<void()> body) {
  auto own = std::make_unique<Body>(std::move(body));
  BlockSignals block;
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, stack_bytes);
  int error = pthread_create(&thread_, &small, run_body, own.get());
  pthread_attr_destroy(&small);
  // Where so many thread-local variables do not fit.
  if (error == EINVAL) error = pthread_create(&thread_, nullptr, run_body, own.get());
  if (error != 0) throw std::system_error(error, std::generic_category(), "pthread_create");
  static_cast<void>(own.release());  // the thread's now
  joinable_ = true;
  set_name(thread_, name);
}

void SmallThread::join() noexcept {
  pthread_join(thread_, nullptr);
  joinable_ = false;
}

bool asleep(pid_t thread) noexcept {
  char path[64], text[128];
  std::snprintf(path, sizeof path, "/proc/self/task/%d/stat", static_cast<int>(thread));
  const FileDescriptor file(retry_interrupted([&] { return ::open(path, O_RDONLY | O_CLOEXEC); }));
  const auto size = retry_interrupted([&] { return ::read(file.get(), text, sizeof text); });
  if (size <= 0) return true;
  // "123 (name) S ...": the name may hold anything.
  const std::string_view stat(text, static_cast<std::size_t>(size));
  const std::size_t state = stat.rfind(')') + 2;
  return state >= stat.size() || stat[state] != 'R';
}

Error cannot_start(const std::system_error& error, Option lower) {
  const int code = error.code().value();
  if (code == ENOMEM) {
    return {
        Stage::setup,
        code,
        {},
        error.what() + std::string("; raise the limit on locked memory (ulimit -l) or on memory "
                                   "(ulimit -v)")};
  }
  if (code != EAGAIN) return {Stage::setup, code, {}, error.what()};
  // A thread's stack takes 8 MiB of address space.
  return {Stage::setup,
          code,
          {},
          "no thread can be started; raise the limit on threads (ulimit -u, the container's pids) "
          "or on memory (ulimit -v)",
          lower};
}

}  // namespace ringfeed
