#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>

#include "decode/bytes.h"

namespace ringfeed::python {

/// The bytes of any object that has some, held while they are read. Dropped with the GIL.
class HeldBytes {
 public:
  explicit HeldBytes(nanobind::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw nanobind::python_error();
  }
  ~HeldBytes() { PyBuffer_Release(&view_); }
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;

  decode::Bytes bytes() const {
    return {static_cast<const std::uint8_t*>(view_.buf), static_cast<std::size_t>(view_.len)};
  }

 private:
  Py_buffer view_;
};

}  // namespace ringfeed::python
