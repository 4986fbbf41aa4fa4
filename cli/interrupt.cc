#include "interrupt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/thread_start.h"
#include "output.h"

namespace ringfeed::cli {
namespace {

int checked(int fd, const char* what) {
  if (fd < 0) throw std::system_error(errno, std::generic_category(), what);
  return fd;
}

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  return set;
}

int signal_descriptor() {
  const sigset_t set = handled_signals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  return checked(signalfd(-1, &set, SFD_CLOEXEC), "signalfd");
}

}  // namespace

Interrupt::Interrupt()
    : signals_(signal_descriptor()), end_(checked(eventfd(0, EFD_CLOEXEC), "eventfd")) {
  try {
    watcher_ = std::thread([this] { watch(); });
  } catch (const std::system_error& error) {
    throw LoadError(cannot_start(error, Option::none));
  }
}

Interrupt::~Interrupt() {
  eventfd_write(end_, 1);
  watcher_.join();
  ::close(signals_);
  ::close(end_);
}

void Interrupt::watch() {
  std::array<pollfd, 2> sources{{{signals_, POLLIN, 0}, {end_, POLLIN, 0}}};
  for (;;) {
    if (::poll(sources.data(), sources.size(), -1) < 0) continue;  // EINTR
    if (sources[1].revents != 0) return;
    signalfd_siginfo info;
    if (::read(signals_, &info, sizeof info) == sizeof info) handle();
  }
}

void Interrupt::handle() {
  const MutexLock lock(mutex_);
  if (!stop_) {
    complain("interrupted");
    ::_exit(exit_interrupted);
  }
  // From here on a signal reaches this thread with its default action: a second one ends the
  // process even if `stop` hangs on a dead mount.
  const sigset_t set = handled_signals();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  requested_ = true;
  stop_();
}

Interrupt::Guard::Guard(Interrupt& interrupt, std::function<void()> stop) : interrupt_(interrupt) {
  const MutexLock lock(interrupt_.mutex_);
  interrupt_.stop_ = std::move(stop);
}

Interrupt::Guard::~Guard() {
  const MutexLock lock(interrupt_.mutex_);
  interrupt_.stop_ = nullptr;
}

}  // namespace ringfeed::cli
