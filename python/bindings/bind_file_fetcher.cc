#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "bindings.h"
#include "choice.h"
#include "convert.h"
#include "gil.h"
#include "io/file_fetcher.h"
#include "ringfeed/reader_kind.h"
#include "signals.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

/// OSError chooses its subclass by errno.
[[noreturn]] void raise_os_error(int code, nb::handle filename) {
  const nb::object error = nb::handle(PyExc_OSError)(code, std::strerror(code), filename);
  PyErr_SetObject(error.type().ptr(), error.ptr());
  throw nb::python_error();
}

/// What open() would refuse for its name alone has none, and open() says why.
std::optional<std::string> name_of(nb::handle path) {
  try {
    return fs_encode(path);
  } catch (nb::python_error& error) {
    if (!error.matches(PyExc_ValueError)) throw;
    return std::nullopt;
  }
}

class BoundFetcher {
 public:
  explicit BoundFetcher(std::string_view reader) {
    io::FileFetcherOptions options;
    options.while_waiting = check_while_waiting(std::make_shared<Signals>());
    const ReaderKind kind = choose("reader", reader, reader_kinds);
    try {
      fetcher_.emplace(kind, options);
    } catch (const std::system_error& error) {
      raise_os_error(error.code().value(), decode_text(error.what()));
    }
  }
  ~BoundFetcher() {
    const WithoutGil without_gil;  // it waits for reads to end
    fetcher_.reset();
  }
  BoundFetcher(const BoundFetcher&) = delete;
  BoundFetcher& operator=(const BoundFetcher&) = delete;

  std::string_view engine_name() const noexcept { return fetcher_->engine_name(); }

  bool announce(const nb::iterable& paths) {
    if (PyUnicode_Check(paths.ptr()) || PyBytes_Check(paths.ptr())) {
      throw nb::type_error("paths must be several");
    }
    std::vector<std::string> names;
    for (const nb::handle path : paths) {
      if (auto name = name_of(path)) names.push_back(std::move(*name));
    }
    const WithoutGil without_gil;
    return fetcher_->announce(names);
  }

  nb::object take(nb::handle path) {
    const std::optional<std::string> name = name_of(path);
    if (!name) return nb::none();
    std::optional<Expected<io::FetchedFile>> file;
    try {
      const WithoutGil without_gil;
      file = fetcher_->take(*name);
    } catch (const InterpreterEnds&) {
    }
    if (!file) return nb::none();
    if (!*file) raise_os_error(file->error().code, nb::steal(PyOS_FSPath(path.ptr())));
    // Of all that has a buffer, only bytes are wrapped by io.BytesIO without another copy.
    const auto bytes = (*file)->bytes();
    return nb::bytes(bytes.data(), bytes.size());
  }

 private:
  std::optional<io::FileFetcher> fetcher_;
};

}  // namespace

void bind_file_fetcher(nb::module_& module) {
  nb::class_<BoundFetcher>(module, "FileFetcher", nb::is_final())
      .def(nb::init<std::string_view>(), nb::arg("reader") = "auto")
      .def_prop_ro("reader", &BoundFetcher::engine_name)
      .def("announce", &BoundFetcher::announce, nb::arg("paths"))
      .def("take", &BoundFetcher::take, nb::arg("path"));
}

}  // namespace ringfeed::python
