#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "augment/canvas_limits.h"
#include "bindings.h"
#include "choice.h"
#include "convert.h"
#include "draw_array.h"
#include "epoch_handle.h"
#include "gil.h"
#include "loader_handle.h"

namespace ringfeed::python {
namespace {

/// What Python calls a Loader; its epochs keep it alive.
struct BoundLoader {
  std::shared_ptr<LoaderHandle> handle;
  std::vector<TransformPlan> plans;
};

constexpr std::pair<std::string_view, OnError> error_policies[] = {
    {"raise", OnError::raise}, {"skip", OnError::skip}, {"replace", OnError::replace}};

std::chrono::nanoseconds nanoseconds(double seconds) {
  if (!(std::abs(seconds) < 1e9)) {
    throw nb::value_error(
        ("timeout must be a number of seconds, 0 for ever, not " + std::to_string(seconds))
            .c_str());
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

void init_loader(BoundLoader* self, const ImageFolder& dataset,
                 const std::vector<TransformPlan>& plans, int batch_size, int num_workers,
                 int prefetch_factor, bool shuffle, bool drop_last, bool in_order,
                 std::uint64_t seed, int rank, int world_size,
                 const std::optional<Array<std::uint32_t>>& indices, const std::string& reader,
                 std::size_t memory_limit, double timeout, std::size_t read_ahead_bytes, int depth,
                 std::size_t max_file_bytes, std::uint64_t max_pixels, int max_scans,
                 std::size_t max_decoder_bytes, std::size_t max_canvas_bytes, bool load_truncated,
                 const std::string& on_error, double max_failures, int retries, nb::handle pinned) {
  LoaderOptions options;
  options.batch_size = batch_size;
  options.num_workers = num_workers;
  options.prefetch_factor = prefetch_factor;
  options.shuffle = shuffle;
  options.drop_last = drop_last;
  options.in_order = in_order;
  options.seed = seed;
  options.rank = rank;
  options.world_size = world_size;
  if (indices) options.indices = checked_entries(*indices, dataset.size(), "indices");
  options.reader = choose("reader", reader, reader_kinds);
  options.memory_limit = memory_limit;
  options.timeout = nanoseconds(timeout);
  options.read_ahead_bytes = read_ahead_bytes;
  options.depth = depth;
  options.max_file_bytes = max_file_bytes;
  options.limits = {.max_pixels = max_pixels,
                    .max_decoder_bytes = max_decoder_bytes,
                    .max_canvas_bytes = max_canvas_bytes,
                    .max_scans = max_scans,
                    .load_truncated = load_truncated};
  options.on_error = choose("on_error", on_error, error_policies);
  options.max_failures = max_failures;
  options.retries = retries;
  new (self) BoundLoader{LoaderHandle::make(dataset, plans, std::move(options),
                                            pinned.is_none() ? nullptr : hold(nb::borrow(pinned))),
                         plans};
}

std::size_t memory_bound(const BoundLoader& self) { return self.handle->core().memory_bound(); }

nb::dict stage_dict(const StageStats& stage) {
  nb::dict dict;
  dict["count"] = stage.count;
  dict["failed"] = stage.failed;
  dict["bytes"] = stage.bytes;
  dict["busy_seconds"] = stage.busy_seconds;
  dict["p50_us"] = stage.p50_us;
  dict["p90_us"] = stage.p90_us;
  dict["p99_us"] = stage.p99_us;
  dict["max_us"] = stage.max_us;
  return dict;
}

nb::dict stats(const BoundLoader& self) {
  const Stats stats = self.handle->core().stats();
  nb::dict dict;
  dict["read"] = stage_dict(stats.read);
  dict["decode"] = stage_dict(stats.decode);
  dict["deliver"] = stage_dict(stats.deliver);
  dict["files_in_flight"] = stats.files_in_flight;
  dict["encoded_ready"] = stats.encoded_ready;
  dict["decode_queue"] = stats.decode_queue;
  dict["batches_ready"] = stats.batches_ready;
  dict["read_ahead_bytes"] = stats.read_ahead_bytes;
  dict["read_ahead_bytes_peak"] = stats.read_ahead_bytes_peak;
  dict["size_guess"] = stats.size_guess;
  dict["retries"] = stats.retries;
  dict["skipped"] = stats.skipped;
  dict["replaced"] = stats.replaced;
  dict["steals"] = stats.steals;
  dict["reserve_waits"] = stats.reserve_waits;
  dict["reserve_seconds"] = stats.reserve_seconds;
  dict["starved_seconds"] = stats.starved_seconds;
  dict["blocked_seconds"] = stats.blocked_seconds;
  dict["unordered_seconds"] = stats.unordered_seconds;
  dict["wall_seconds"] = stats.wall_seconds;
  dict["workers"] = stats.workers;
  dict["depth"] = stats.depth;
  dict["prefetch_factor"] = stats.prefetch_factor;
  dict["reader"] = decode_text(stats.reader);
  dict["reader_note"] = decode_text(stats.reader_note);
  dict["entropy"] = decode_text(stats.entropy);
  dict["entropy_note"] = decode_text(stats.entropy_note);
  dict["pixels"] = decode_text(stats.pixels);
  dict["pixels_note"] = decode_text(stats.pixels_note);
  dict["verdict"] = decode_text(to_string(stats.verdict()));
  dict["verdict_line"] = decode_text(stats.verdict_line(argument_name));
  return dict;
}

EpochHandle begin_epoch(nb::handle_t<BoundLoader> self, std::uint64_t epoch,
                        std::uint64_t positions, nb::handle beyond, nb::handle source,
                        std::optional<std::uint64_t> order_of, std::uint64_t failed) {
  Progress start;
  start.positions = positions;
  start.failed = failed;
  for (const std::int64_t batch : integers(beyond, "beyond")) {
    start.beyond.push_back(static_cast<std::uint64_t>(batch));
  }
  return {nb::borrow(self), nb::cast<BoundLoader&>(self).handle, epoch, start, source, order_of};
}

/// Positions whose samples failed, and the entries that came in their places.
using Substitutes = std::vector<std::pair<std::uint64_t, std::optional<std::uint32_t>>>;

nb::object draws(const BoundLoader& self, std::uint64_t epoch,
                 const std::optional<Array<std::uint32_t>>& order,
                 std::optional<std::uint64_t> order_of, const Substitutes& failed) {
  Failures failures;
  for (const auto& [position, substitute] : failed) {
    failures.first.push_back({position, 0, {}, substitute});
  }
  std::vector<Draw> drawn;
  if (!order) {
    const WithoutGil without_gil;
    drawn = self.handle->core().draws(epoch, order_of, failures);
  } else {
    const std::vector<std::uint32_t> chosen =
        checked_entries(*order, self.handle->dataset_size(), "order");
    const WithoutGil without_gil;
    drawn = self.handle->core().draws(epoch, chosen, failures);
  }
  return draw_array(drawn, self.plans);
}

int traverse_loader(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  const ObjectRef& pinned = nb::inst_ptr<BoundLoader>(self)->handle->pinned();
  if (pinned != nullptr) Py_VISIT(pinned->object);
  return 0;
}

int clear_loader(PyObject* self) {
  if (!nb::inst_ready(self)) return 0;
  clear(nb::inst_ptr<BoundLoader>(self)->handle->pinned());
  return 0;
}

PyType_Slot loader_slots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_loader)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_loader)},
    {0, nullptr},
};

}  // namespace

void bind_loader(nb::module_& module) {
  nb::list reader_names;
  for (const auto& [name, kind] : reader_kinds) reader_names.append(name);
  module.attr("reader_names") = nb::tuple(reader_names);
  nb::dict limits;
  limits["max_pixels"] = DecodeLimits{}.max_pixels;
  limits["max_file_bytes"] = LoaderOptions{}.max_file_bytes;
  limits["max_scans"] = DecodeLimits{}.max_scans;
  limits["max_decoder_bytes"] = DecodeLimits{}.max_decoder_bytes;
  limits["max_canvas_bytes"] = DecodeLimits{}.max_canvas_bytes;
  module.attr("default_limits") = limits;
  nb::list policies;
  for (const auto& [name, policy] : error_policies) policies.append(name);
  module.attr("error_policies") = nb::tuple(policies);
  nb::dict most;
  most["num_workers"] = largest::num_workers;
  most["prefetch_factor"] = largest::prefetch_factor;
  most["depth"] = largest::depth;
  most["retries"] = largest::retries;
  most["read_ahead_bytes"] = largest::read_ahead_bytes;
  most["max_pixels"] = largest::max_pixels;
  most["max_file_bytes"] = largest::max_file_bytes;
  most["max_scans"] = largest::max_scans;
  most["max_decoder_bytes"] = largest::max_decoder_bytes;
  most["max_canvas_bytes"] = largest::max_canvas_bytes;
  most["side"] = TransformPlan::max_side;
  most["canvas_side"] = augment::max_canvas_side;
  most["boxes"] = RandomErasing::max_boxes;
  most["views"] = largest::views;
  module.attr("largest") = most;
  nb::class_<BoundLoader>(module, "Loader", nb::is_final(), nb::type_slots(loader_slots))
      .def("__init__", init_loader, nb::arg("dataset"), nb::arg("plans"), nb::kw_only(),
           nb::arg("batch_size"), nb::arg("num_workers"), nb::arg("prefetch_factor"),
           nb::arg("shuffle"), nb::arg("drop_last"), nb::arg("in_order"), nb::arg("seed"),
           nb::arg("rank") = 0, nb::arg("world_size") = 1,
           nb::arg("indices").noconvert() = nb::none(), nb::arg("reader") = "auto",
           nb::arg("memory_limit") = 0, nb::arg("timeout") = 0.0, nb::arg("read_ahead_bytes") = 0,
           nb::arg("depth") = 0, nb::arg("max_file_bytes") = LoaderOptions{}.max_file_bytes,
           nb::arg("max_pixels") = DecodeLimits{}.max_pixels,
           nb::arg("max_scans") = DecodeLimits{}.max_scans,
           nb::arg("max_decoder_bytes") = DecodeLimits{}.max_decoder_bytes,
           nb::arg("max_canvas_bytes") = DecodeLimits{}.max_canvas_bytes,
           nb::arg("load_truncated") = false, nb::arg("on_error") = "raise",
           nb::arg("max_failures") = LoaderOptions{}.max_failures, nb::arg("retries") = 0,
           nb::arg("pinned") = nb::none())
      .def("epoch", begin_epoch, nb::arg("epoch"), nb::arg("positions") = 0,
           nb::arg("beyond") = nb::make_tuple(), nb::arg("source") = nb::none(),
           nb::arg("order_of") = nb::none(), nb::arg("failed") = 0)
      .def("draws", draws, nb::arg("epoch"), nb::arg("order").noconvert() = nb::none(),
           nb::arg("order_of") = nb::none(), nb::arg("failed") = nb::make_tuple())
      .def_prop_ro("memory_bound", memory_bound)
      .def("stats", stats)
      .def("stop", [](const BoundLoader& self) { self.handle->stop(); });
}

}  // namespace ringfeed::python
