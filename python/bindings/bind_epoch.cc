#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <optional>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings.h"
#include "convert.h"
#include "dlpack.h"
#include "epoch_handle.h"

namespace ringfeed::python {
namespace {

struct BoundBatch {
  Batch batch;
  bool pinned;
  bool labels_taken = false;
};

std::optional<BoundBatch> next(EpochHandle& self, bool keep) {
  std::optional<Batch> batch = self.next(keep);
  if (!batch) return std::nullopt;
  return BoundBatch{std::move(*batch), self.pinned()};
}

std::tuple<std::uint64_t, std::vector<std::uint64_t>, std::uint64_t> progress(
    const EpochHandle& self) {
  Progress progress = self.progress();
  return {progress.positions, std::move(progress.beyond), progress.failed};
}

/// The count, and (position, index, path, message, substitute or None) of those listed.
nb::object failures(const EpochHandle& self) {
  const Failures failures = self.failures();
  nb::list list;
  for (const Failure& failure : failures.first) {
    list.append(nb::make_tuple(failure.position, failure.index, fs_decode(failure.error.path),
                               decode_text(failure.error.message(argument_name)),
                               failure.substitute));
  }
  return nb::make_tuple(failures.count, list);
}

nb::object images(BoundBatch& self) {
  if (self.batch.memory.owner == nullptr) {
    throw std::runtime_error("images() has been called: the caller owns them");
  }
  if (!self.pinned) return images_capsules(self.batch);
  BatchMemory memory = std::exchange(self.batch.memory, {});
  nb::object object = nb::borrow(static_cast<HeldObject*>(memory.owner.get())->object);
  memory = {};
  drop_retired();  // the caller's is the only reference now, unless the batch is still on offer
  return object;
}

std::vector<std::size_t> offsets(const BoundBatch& self) {
  std::vector<std::size_t> offsets;
  offsets.reserve(self.batch.views.size());
  for (const BatchView& view : self.batch.views) offsets.push_back(view.offset);
  return offsets;
}

/// Blocks for images that are made of a batch's first view.
struct BatchPool {
  std::shared_ptr<BatchAllocator> allocator;
};

nb::object empty_like(BatchPool& self, const BoundBatch& batch) {
  Batch empty;
  empty.labels = batch.batch.labels;  // its size
  empty.views = {batch.batch.views.front()};
  empty.memory = self.allocator->allocate(empty.size() * empty.views.front().sample_bytes());
  return images_capsules(empty)[0];
}

nb::object labels(BoundBatch& self) {
  if (std::exchange(self.labels_taken, true)) {
    throw std::runtime_error("labels() has been called: the caller owns them");
  }
  return labels_capsule(std::vector<std::int64_t>(self.batch.labels));
}

int traverse_epoch(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  if (!nb::inst_ready(self)) return 0;
  const EpochHandle& epoch = *nb::inst_ptr<EpochHandle>(self);
  Py_VISIT(epoch.owner().ptr());
  if (const Source* source = epoch.source()) {
    for (const ObjectRef* ref : {&source->batch, &source->error}) {
      if (*ref != nullptr) Py_VISIT((*ref)->object);
    }
  }
  return 0;
}

int clear_epoch(PyObject* self) {
  if (!nb::inst_ready(self)) return 0;
  if (const Source* source = nb::inst_ptr<EpochHandle>(self)->source()) {
    clear(source->batch);
    clear(source->error);
  }
  return 0;
}

PyType_Slot epoch_slots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(traverse_epoch)},
    {Py_tp_clear, reinterpret_cast<void*>(clear_epoch)},
    {0, nullptr},
};

}  // namespace

void bind_epoch(nb::module_& module) {
  nb::class_<EpochHandle>(module, "Epoch", nb::is_final(), nb::type_slots(epoch_slots))
      .def("next", next, nb::kw_only(), nb::arg("keep") = false)
      .def("accept", &EpochHandle::accept)
      .def_prop_ro("offers", &EpochHandle::offers)
      .def("progress", progress)
      .def("failures", failures);
  nb::class_<BatchPool>(module, "BatchPool", nb::is_final())
      .def(
          "__init__",
          [](BatchPool* self, std::size_t keep) {
            new (self) BatchPool{make_huge_page_allocator(keep)};
          },
          nb::arg("keep"))
      .def("empty_like", empty_like, nb::arg("batch"));
  nb::class_<BoundBatch>(module, "Batch", nb::is_final())
      .def_prop_ro("size", [](const BoundBatch& self) { return self.batch.size(); })
      .def("images", images)
      .def_prop_ro("offsets", offsets)
      .def("labels", labels)
      .def_prop_ro("positions",
                   [](const BoundBatch& self) {
                     return to_array(std::span<const std::uint64_t>(self.batch.positions),
                                     "uint64");
                   })
      .def_prop_ro("indices", [](const BoundBatch& self) {
        return to_array(std::span<const std::uint32_t>(self.batch.indices), "uint32");
      });
}

}  // namespace ringfeed::python
