#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "decode/bytes.h"

namespace ringfeed::python {

/// The bytes of any object that has some, held while they are used. Dropped with the GIL.
class HeldBytes {
 public:
  explicit HeldBytes(nanobind::handle object, int flags = PyBUF_SIMPLE) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nanobind::python_error();
  }
  ~HeldBytes() { PyBuffer_Release(&view_); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

  decode::Bytes bytes() const {
    return {static_cast<const std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }
  /// Those of floats, aligned as floats are; writable if PyBUF_WRITABLE was asked for.
  std::span<float> floats() const {
    return {static_cast<float*>(view_.buf), static_cast<std::size_t>(view_.len) / sizeof(float)};
  }

 private:
  Py_buffer view_;
};

}  // namespace ringfeed::python
