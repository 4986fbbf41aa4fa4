#pragma once

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

}  // namespace ringfeed::python
