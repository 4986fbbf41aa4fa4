#include "object_ref.h"

#include <atomic>
#include <utility>

namespace ringfeed::python {
namespace {

// Pushed by any thread, taken as a whole: so no lock, which a fork could leave locked for ever.
// Never destroyed before the last thread is gone, because it has no destructor.
std::atomic<HeldObject*> retired{nullptr};

void retire(HeldObject* held) noexcept {
  if (held->object == nullptr) {
    delete held;
    return;
  }
  held->next = retired.load(std::memory_order_relaxed);
  while (!retired.compare_exchange_weak(held->next, held, std::memory_order_release,
                                        std::memory_order_relaxed)) {
  }
}

}  // namespace

ObjectRef hold(nb::object object) {
  auto held = std::make_unique<HeldObject>(HeldObject{object.ptr()});
  object.release();
  return {held.release(), retire};
}

void clear(const ObjectRef& ref) noexcept {
  if (ref != nullptr) Py_XDECREF(std::exchange(ref->object, nullptr));
}

void drop_retired() noexcept {
  HeldObject* held = retired.exchange(nullptr, std::memory_order_acquire);
  if (held == nullptr) return;
  const nb::error_scope keep_error;  // a destructor may run any code
  while (held != nullptr) {
    HeldObject* const next = held->next;
    Py_DECREF(held->object);
    delete held;
    held = next;
  }
}

PythonError::PythonError(const nb::python_error& error) : value_(hold(nb::borrow(error.value()))) {}

bool PythonError::matches(PyObject* type) const noexcept {
  return value_->object != nullptr && PyErr_GivenExceptionMatches(value_->object, type) != 0;
}

void PythonError::restore() const noexcept {
  PyObject* value = value_->object;
  if (value == nullptr) return PyErr_SetString(PyExc_RuntimeError, what());
  PyErr_Restore(Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(value))), Py_NewRef(value),
                PyException_GetTraceback(value));
}

}  // namespace ringfeed::python
