#pragma once

#include <Python.h>

#include <chrono>

namespace ringfeed::python {

/// Releases the GIL, but for the time after the interpreter has run its exit hooks: a thread that
/// asks for the GIL then is ended in the middle of a C++ frame.
class WithoutGil {
 public:
  WithoutGil() noexcept;
  ~WithoutGil();
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;

 private:
  PyThreadState* state_ = nullptr;
};

/// From now on no thread lets go of the GIL. With the GIL.
void keep_gil() noexcept;
/// Whether keep_gil() has been called: the interpreter ends.
bool exiting() noexcept;
/// Waits until every thread that is without the GIL has come back for it, or `limit` is over.
void await_gil_returned(std::chrono::milliseconds limit);

/// In a forked child the other threads, and what they hold, do not exist.
void forget_threads_after_fork() noexcept;

}  // namespace ringfeed::python
