#include "convert.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

std::string text_of(nb::handle object) { return nb::repr(object).c_str(); }

std::string class_name(nb::handle object) {
  return nb::cast<nb::str>(object.type().attr("__name__")).c_str();
}

nb::object fast_sequence(nb::handle sequence, const std::string& wanted) {
  PyObject* fast = PyUnicode_Check(sequence.ptr()) ? nullptr : PySequence_Fast(sequence.ptr(), "");
  if (fast != nullptr) return nb::steal(fast);
  if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) throw nb::python_error();
  PyErr_Clear();
  throw nb::type_error((wanted + ", not " + class_name(sequence)).c_str());
}

}  // namespace

std::string fs_encode(nb::handle path) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(path.ptr(), static_cast<void*>(&bytes)) == 0) throw nb::python_error();
  const nb::object owner = nb::steal(bytes);
  return {PyBytes_AS_STRING(bytes), static_cast<std::size_t>(PyBytes_GET_SIZE(bytes))};
}

nb::object fs_decode(std::string_view path) {
  PyObject* text =
      PyUnicode_DecodeFSDefaultAndSize(path.data(), static_cast<Py_ssize_t>(path.size()));
  if (text == nullptr) throw nb::python_error();
  return nb::steal(text);
}

nb::object decode_text(std::string_view text) {
  PyObject* decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape");
  if (decoded == nullptr) throw nb::python_error();
  return nb::steal(decoded);
}

std::vector<std::string> fs_strings(nb::handle sequence, const char* what) {
  const std::string wanted = std::string(what) + " must be a sequence of str";
  const nb::object fast = fast_sequence(sequence, wanted);
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(fast.ptr());
  std::vector<std::string> strings;
  strings.reserve(static_cast<std::size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    const nb::handle item = PySequence_Fast_GET_ITEM(fast.ptr(), i);
    strings.push_back(fs_encode(item));
  }
  return strings;
}

std::vector<std::int64_t> integers(nb::handle sequence, const char* what) {
  const nb::object fast =
      fast_sequence(sequence, std::string(what) + " must be a sequence of integers");
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(fast.ptr());
  std::vector<std::int64_t> values;
  values.reserve(static_cast<std::size_t>(size));
  for (Py_ssize_t i = 0; i < size; ++i) {
    const nb::object item = nb::borrow(PySequence_Fast_GET_ITEM(fast.ptr(), i));
    const nb::object number = nb::steal(PyNumber_Index(item.ptr()));
    if (!number.is_valid()) {
      if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw nb::python_error();
      PyErr_Clear();
      throw nb::type_error((std::string(what) + " must be integers, but number " +
                            std::to_string(i) + " is " + text_of(item) + " (" + class_name(item) +
                            ")")
                               .c_str());
    }
    int overflow = 0;
    const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (overflow != 0) {
      throw nb::value_error((std::string(what) + " holds " + text_of(number)).c_str());
    }
    values.push_back(value);
  }
  return values;
}

std::vector<std::uint32_t> checked_entries(const Array<std::uint32_t>& array,
                                           std::size_t dataset_size, const char* what) {
  const std::span<const std::uint32_t> entries = values_of(array);
  for (const std::uint32_t entry : entries) {
    if (entry >= dataset_size) {
      throw nb::index_error((std::string(what) + " holds " + std::to_string(entry) +
                             ", but the dataset has " + std::to_string(dataset_size) + " entries")
                                .c_str());
    }
  }
  return {entries.begin(), entries.end()};
}

nb::object empty_array(std::size_t size, nb::handle dtype) {
  return nb::module_::import_("numpy").attr("empty")(size, dtype);
}

std::span<std::byte> array_bytes(nb::handle array) {
  Py_buffer view;
  if (PyObject_GetBuffer(array.ptr(), &view, PyBUF_WRITABLE) != 0) throw nb::python_error();
  const std::span bytes(static_cast<std::byte*>(view.buf), static_cast<std::size_t>(view.len));
  PyBuffer_Release(&view);  // the array keeps its memory
  return bytes;
}

}  // namespace ringfeed::python
