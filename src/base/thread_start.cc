#include "base/thread_start.h"

#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <utility>

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

}  // namespace

std::thread start_thread(const std::string& name, std::function<void()> body) {
  BlockSignals block;
  std::thread thread(std::move(body));
  pthread_setname_np(thread.native_handle(), name.substr(0, 15).c_str());
  return thread;
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
