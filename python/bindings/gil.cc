#include "gil.h"

#include <thread>

namespace ringfeed::python {
namespace {

// Guarded by the GIL.
int outside = 0;
bool keep = false;

}  // namespace

WithoutGil::WithoutGil() noexcept {
  if (keep) return;
  ++outside;
  state_ = PyEval_SaveThread();
}

WithoutGil::~WithoutGil() {
  if (state_ == nullptr) return;
  PyEval_RestoreThread(state_);
  --outside;
}

void keep_gil() noexcept { keep = true; }

bool exiting() noexcept { return keep; }

void await_gil_returned(std::chrono::milliseconds limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (outside > 0 && std::chrono::steady_clock::now() < end) {
    PyThreadState* state = PyEval_SaveThread();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    PyEval_RestoreThread(state);
  }
}

void forget_threads_after_fork() noexcept { outside = 0; }

}  // namespace ringfeed::python
