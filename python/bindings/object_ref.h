#pragma once

#include <nanobind/nanobind.h>

#include <exception>
#include <memory>

namespace ringfeed::python {

namespace nb = nanobind;

/// One reference to a Python object, held by C++.
struct HeldObject {
  PyObject* object;  ///< null once cleared
  HeldObject* next = nullptr;
};

/// May be copied and dropped on any thread without the GIL: the last copy puts the object on a list
/// that the next call from Python empties. (To take the GIL there would deadlock with a thread that
/// holds it and waits for the memory.) After the interpreter's end the object leaks.
using ObjectRef = std::shared_ptr<HeldObject>;

/// With the GIL.
ObjectRef hold(nb::object object);
/// What a type's tp_clear does with one that its tp_traverse visits: one of its owners alone may.
void clear(const ObjectRef& ref) noexcept;
/// Lets go of what was dropped since the last call. With the GIL.
void drop_retired() noexcept;

/// A Python exception on its way through C++ threads that do not hold the GIL.
class PythonError : public std::exception {
 public:
  /// With the GIL.
  explicit PythonError(const nb::python_error& error);
  const char* what() const noexcept override { return "an exception of the Python code called"; }
  /// With the GIL.
  bool matches(PyObject* type) const noexcept;
  const ObjectRef& value() const noexcept { return value_; }
  /// Raises it again, traceback included. With the GIL.
  void restore() const noexcept;

 private:
  ObjectRef value_;
};

}  // namespace ringfeed::python
