#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ringfeed::python {

/// A NumPy array of exactly this dtype, shape [n], contiguous: its argument is .noconvert(), or an
/// array of floats would be rounded.
template <class T>
using Array =
    nanobind::ndarray<const T, nanobind::ndim<1>, nanobind::c_contig, nanobind::device::cpu>;

template <class T>
std::span<const T> values_of(const Array<T>& array) {
  return {array.data(), array.size()};
}

/// str or os.PathLike to the bytes that the kernel wants, as os.fsencode does.
std::string fs_encode(nanobind::handle path);
/// As os.fsdecode: undecodable bytes become surrogates.
nanobind::object fs_decode(std::string_view path);
/// UTF-8 that may name an undecodable path, whose bytes become surrogates.
nanobind::object decode_text(std::string_view text);

/// A sequence of str, each by fs_encode. `what` names the argument in errors.
std::vector<std::string> fs_strings(nanobind::handle sequence, const char* what);
/// A sequence of what has __index__. Throws TypeError naming what was given instead.
std::vector<std::int64_t> integers(nanobind::handle sequence, const char* what);

/// The values of `array`, entries of a dataset. Throws IndexError naming one that is none.
std::vector<std::uint32_t> checked_entries(const Array<std::uint32_t>& array,
                                           std::size_t dataset_size, const char* what);

/// A new NumPy array of shape [size]; `dtype` is what numpy.dtype takes.
nanobind::object empty_array(std::size_t size, nanobind::handle dtype);
/// The bytes of an array that empty_array() made.
std::span<std::byte> array_bytes(nanobind::handle array);

template <class T>
nanobind::object to_array(std::span<const T> values, const char* dtype) {
  nanobind::object array = empty_array(values.size(), nanobind::str(dtype));
  if (!values.empty()) std::memcpy(array_bytes(array).data(), values.data(), values.size_bytes());
  return array;
}

}  // namespace ringfeed::python
