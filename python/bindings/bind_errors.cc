#include <nanobind/nanobind.h>

#include <array>
#include <stdexcept>
#include <string_view>

#include "bindings.h"
#include "convert.h"
#include "object_ref.h"
#include "ringfeed/error.h"
#include "ringfeed/loader.h"

namespace ringfeed::python {
namespace {

void raise(nb::handle type, nb::handle value) { PyErr_SetObject(type.ptr(), value.ptr()); }

nb::object error_class(const char* name) {
  return nb::module_::import_("ringfeed.errors").attr(name);
}

/// The core names the struct that holds an option, which a caller from Python never sees.
std::string_view without_struct(std::string_view message) {
  constexpr std::array<std::string_view, 2> structs{"LoaderOptions: ", "TransformPlan: "};
  for (const std::string_view name : structs) {
    if (message.starts_with(name)) message.remove_prefix(name.size());
  }
  return message;
}

void translate(const std::exception_ptr& exception, void*) try {
  try {
    std::rethrow_exception(exception);
  } catch (const PythonError& error) {
    error.restore();
  } catch (const LoadError& failure) {
    const Error& error = failure.error();
    const nb::object type = error_class("LoadError");
    raise(type,
          type(decode_text(error.message(argument_name)), nb::str(to_string(error.stage).data()),
               error.code, fs_decode(error.path), decode_text(error.advice(argument_name))));
  } catch (const TimeoutError& error) {
    raise(error_class("LoadTimeout"), decode_text(error.what()));
  } catch (const std::invalid_argument& error) {
    raise(PyExc_ValueError, decode_text(without_struct(error.what())));
  }
} catch (nb::python_error& error) {
  error.restore();  // a KeyboardInterrupt while one of the above was made
}

}  // namespace

std::string_view argument_name(Option option) noexcept {
  switch (option) {
    case Option::none: return "";
    case Option::num_workers: return "num_workers";
    case Option::depth: return "depth";
    case Option::read_ahead_bytes: return "read_ahead_bytes";
    case Option::max_file_bytes: return "limits=ringfeed.DecodeLimits(max_file_bytes=...)";
    case Option::max_pixels: return "limits=ringfeed.DecodeLimits(max_pixels=...)";
    case Option::max_scans: return "limits=ringfeed.DecodeLimits(max_scans=...)";
    case Option::max_decoder_bytes: return "limits=ringfeed.DecodeLimits(max_decoder_bytes=...)";
    case Option::load_truncated: return "PIL.ImageFile.LOAD_TRUNCATED_IMAGES";
  }
  return "";
}

void bind_errors(nb::module_& module) {
  nb::register_exception_translator(translate);
  nb::list names;  // for the tests: of every option that a message can name
  for (int option = 1; !field_name(static_cast<Option>(option)).empty(); ++option) {
    names.append(decode_text(argument_name(static_cast<Option>(option))));
  }
  module.attr("argument_names") = names;
}

}  // namespace ringfeed::python
