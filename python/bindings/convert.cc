#include "convert.h"

#include <optional>
#include <utility>

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

/// A buffer, given back at the end.
class Buffer {
 public:
  Buffer(nb::handle object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~Buffer() { PyBuffer_Release(&view_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  const Py_buffer* operator->() const noexcept { return &view_; }

 private:
  Py_buffer view_{};
};

template <class T>
std::vector<std::int64_t> copy_integers(const Buffer& buffer, const char* what) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(buffer->shape[0]));
  const char* at = static_cast<const char*>(buffer->buf);
  for (std::int64_t& value : values) {
    T element;
    std::memcpy(&element, at, sizeof element);
    if (!std::in_range<std::int64_t>(element)) {
      throw nb::value_error((std::string(what) + " holds " + std::to_string(element)).c_str());
    }
    value = static_cast<std::int64_t>(element);
    at += buffer->strides[0];
  }
  return values;
}

/// Nothing where the elements are no integers of this machine.
std::optional<std::vector<std::int64_t>> buffer_integers(nb::handle array, const char* what) {
  const Buffer buffer(array, PyBUF_RECORDS_RO);
  if (buffer->ndim != 1) {
    throw nb::type_error(
        (std::string(what) + " must have one dimension, not " + std::to_string(buffer->ndim))
            .c_str());
  }
  std::string_view format = buffer->format != nullptr ? buffer->format : "B";
  if (format.size() == 2 && (format[0] == '@' || format[0] == '=' || format[0] == '<')) {
    format.remove_prefix(1);
  }
  if (format.size() != 1) return std::nullopt;
  const bool is_signed = std::string_view("bhilqn").find(format[0]) != std::string_view::npos;
  const bool is_unsigned = std::string_view("BHILQN").find(format[0]) != std::string_view::npos;
  if (!is_signed && !is_unsigned) return std::nullopt;
  switch (buffer->itemsize) {
    case 1:
      return is_signed ? copy_integers<std::int8_t>(buffer, what)
                       : copy_integers<std::uint8_t>(buffer, what);
    case 2:
      return is_signed ? copy_integers<std::int16_t>(buffer, what)
                       : copy_integers<std::uint16_t>(buffer, what);
    case 4:
      return is_signed ? copy_integers<std::int32_t>(buffer, what)
                       : copy_integers<std::uint32_t>(buffer, what);
    case 8:
      return is_signed ? copy_integers<std::int64_t>(buffer, what)
                       : copy_integers<std::uint64_t>(buffer, what);
    default: return std::nullopt;
  }
}

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
  if (PyUnicode_FSConverter(path.ptr(), &bytes) == 0) throw nb::python_error();
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
  if (PyObject_CheckBuffer(sequence.ptr())) {
    if (auto values = buffer_integers(sequence, what)) return std::move(*values);
  }
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

std::vector<std::uint32_t> checked_entries(nb::handle sequence, std::size_t dataset_size,
                                           const char* what) {
  const std::vector<std::int64_t> values = integers(sequence, what);
  std::vector<std::uint32_t> entries;
  entries.reserve(values.size());
  for (const std::int64_t value : values) {
    if (value < 0 || static_cast<std::uint64_t>(value) >= dataset_size) {
      throw nb::index_error((std::string(what) + " holds " + std::to_string(value) +
                             ", but the dataset has " + std::to_string(dataset_size) + " entries")
                                .c_str());
    }
    entries.push_back(static_cast<std::uint32_t>(value));
  }
  return entries;
}

nb::object empty_array(std::size_t size, nb::handle dtype) {
  return nb::module_::import_("numpy").attr("empty")(size, dtype);
}

std::span<std::byte> array_bytes(nb::handle array) {
  const Buffer buffer(array, PyBUF_WRITABLE);
  return {static_cast<std::byte*>(buffer->buf), static_cast<std::size_t>(buffer->len)};
}

}  // namespace ringfeed::python
