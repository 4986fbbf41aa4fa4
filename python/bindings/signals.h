#pragma once

#include <functional>
#include <memory>
#include <stdexcept>

#include "object_ref.h"

namespace ringfeed::python {

/// What interrupts a consumer. Every member is called with the GIL.
class Signals {
 public:
  /// Throws what a signal handler raised, or KeyboardInterrupt where caught() saw one.
  void check();
  /// An exception of Python code that next() called. The core may hold it back behind the batches
  /// before it, which a KeyboardInterrupt does not wait for.
  PythonError caught(const nb::python_error& error);
  /// The exception has reached the caller, so that it is not raised a second time.
  void reported(const PythonError& error) noexcept;

 private:
  bool interrupted_ = false;
};

/// Ends a wait that would outlast the interpreter.
class InterpreterEnds : public std::runtime_error {
 public:
  InterpreterEnds() : std::runtime_error("the interpreter ends") {}
};

/// For the core to call, without the GIL, while it waits: looks for signals, and throws
/// InterpreterEnds where stop_all_loaders() waits for this thread.
std::function<void()> check_while_waiting(std::shared_ptr<Signals> signals);

}  // namespace ringfeed::python
