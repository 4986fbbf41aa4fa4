#include "signals.h"

namespace ringfeed::python {

void Signals::check() {
  if (interrupted_) {
    interrupted_ = false;
    PyErr_SetNone(PyExc_KeyboardInterrupt);
  } else if (PyErr_CheckSignals() == 0) {
    return;
  }
  const nb::python_error error;
  throw PythonError(error);
}

PythonError Signals::caught(const nb::python_error& error) {
  interrupted_ = interrupted_ || error.matches(PyExc_KeyboardInterrupt);
  return PythonError(error);
}

void Signals::reported(const PythonError& error) noexcept {
  if (error.matches(PyExc_KeyboardInterrupt)) interrupted_ = false;
}

}  // namespace ringfeed::python
