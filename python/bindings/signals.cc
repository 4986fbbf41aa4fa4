#include "signals.h"

#include <utility>

#include "gil.h"

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

std::function<void()> check_while_waiting(std::shared_ptr<Signals> signals) {
  return [signals = std::move(signals)] {
    const nb::gil_scoped_acquire gil;
    if (exiting()) throw InterpreterEnds();
    signals->check();
  };
}

}  // namespace ringfeed::python
