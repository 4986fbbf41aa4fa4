// ringfeed._ringfeed: what python/ringfeed/_ringfeed.pyi declares, on the core alone. Tensors leave
// through DLPack, so that one build serves every version of torch.

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string_view.h>
#include <pthread.h>

#include "base/launched_ranks.h"
#include "base/printable.h"
#include "bindings.h"
#include "convert.h"
#include "decode/jpeg/pixels/backend.h"
#include "dlpack.h"
#include "gil.h"
#include "loader_handle.h"
#include "object_ref.h"
#include "ringfeed/version.h"

namespace nb = nanobind;
namespace py = ringfeed::python;

namespace {

void after_fork_in_child() {
  py::forget_threads_after_fork();
  // What the parent's other threads were using has its references still, and is rightly left.
  nb::set_leak_warnings(false);
}

}  // namespace

NB_MODULE(_ringfeed, module) {
  module.attr("__version__") = ringfeed::version();
  module.def("choose_decoder", [] { static_cast<void>(ringfeed::decode::pixel_choice()); });
  module.def("usable_cores", ringfeed::usable_cores, nb::arg("ranks") = 0);
  module.def("launched_ranks", ringfeed::launched_ranks);
  module.def("meets_on_this_host", ringfeed::meets_on_this_host);
  module.def("held_bytes", [] {
    py::drop_retired();
    return py::held_images();
  });
  module.def(
      "printable",
      [](nb::handle text) { return py::decode_text(ringfeed::printable(py::fs_encode(text))); },
      nb::arg("text"));
  py::bind_errors();
  py::bind_dataset(module);
  py::bind_augmentation(module);
  py::bind_plan(module);
  py::bind_loader(module);
  py::bind_mixing(module);
  py::bind_epoch(module);
  py::bind_file_fetcher(module);
  py::bind_window(module);
  py::bind_decode(module);

  pthread_atfork(nullptr, nullptr, after_fork_in_child);
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(py::stop_all_loaders));
}
