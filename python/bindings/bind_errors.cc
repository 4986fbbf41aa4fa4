#include <nanobind/nanobind.h>

#include <stdexcept>
#include <string_view>

#include "base/out_of_memory.h"
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

/// None without Pillow.
nb::object pillow_error(const char* name) {
  return nb::module_::import_("ringfeed.errors").attr("pillow_error")(name);
}

void translate(const std::exception_ptr& exception, void*) try {
  try {
    std::rethrow_exception(exception);
  } catch (const PythonError& error) {
    error.restore();
  } catch (const LoadError& failure) {
    const Error& error = failure.error();
    const std::string_view stage = to_string(error.stage);
    const nb::object kind = error.unidentified ? pillow_error("UnidentifiedImageError")
                            : error.option == Option::max_pixels
                                ? pillow_error("DecompressionBombError")
                                : nb::none();
    const nb::object type = error_class("LoadError");
    raise(type,
          type(decode_text(error.message(argument_name)), nb::str(stage.data(), stage.size()),
               error.code, fs_decode(error.path), decode_text(error.advice(argument_name)), kind));
  } catch (const TimeoutError& error) {
    raise(error_class("LoadTimeout"), decode_text(error.what()));
  } catch (const OptionError& error) {
    raise(PyExc_ValueError, decode_text(error.message(argument_name)));
  } catch (const std::invalid_argument& error) {
    raise(PyExc_ValueError, decode_text(error.what()));
  } catch (const OutOfMemory& error) {
    raise(PyExc_MemoryError, decode_text(error.message(argument_name)));
  } catch (const std::bad_alloc&) {
    raise(PyExc_MemoryError, decode_text(no_memory()));
  }
} catch (nb::python_error& error) {
  error.restore();  // a KeyboardInterrupt while one of the above was made
}

}  // namespace

std::string_view argument_name(Option option) noexcept {
  switch (option) {
    case Option::none: return "";
    case Option::batch_size: return "batch_size";
    case Option::num_workers: return "num_workers";
    case Option::prefetch_factor: return "prefetch_factor";
    case Option::rank: return "rank";
    case Option::world_size: return "world_size";
    case Option::timeout: return "timeout";
    case Option::memory_limit: return "memory_limit";
    case Option::depth: return "depth";
    case Option::read_ahead_bytes: return "read_ahead_bytes";
    case Option::max_file_bytes: return "limits=ringfeed.DecodeLimits(max_file_bytes=...)";
    case Option::max_pixels: return "limits=ringfeed.DecodeLimits(max_pixels=...)";
    case Option::max_scans: return "limits=ringfeed.DecodeLimits(max_scans=...)";
    case Option::max_decoder_bytes: return "limits=ringfeed.DecodeLimits(max_decoder_bytes=...)";
    case Option::max_canvas_bytes: return "limits=ringfeed.DecodeLimits(max_canvas_bytes=...)";
    case Option::load_truncated: return "PIL.ImageFile.LOAD_TRUNCATED_IMAGES";
    case Option::allow_empty: return "ringfeed.ImageFolder(allow_empty=True)";
    case Option::on_error: return "on_error";
    case Option::max_failures: return "max_failures";
    case Option::retries: return "retries";
  }
  return "";
}

void bind_errors() { nb::register_exception_translator(translate); }

}  // namespace ringfeed::python
