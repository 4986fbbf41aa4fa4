#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings.h"
#include "convert.h"
#include "data/other_formats.h"
#include "gil.h"
#include "ringfeed/dataset.h"
#include "signals.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

ImageFolder open_folder(nb::handle root, bool allow_empty, bool use_cache, bool always_use_cache,
                        nb::handle cache_dir) {
  const std::string folder = fs_encode(root);
  ScanOptions options;
  options.allow_empty = allow_empty;
  options.use_cache = use_cache;
  options.always_use_cache = always_use_cache;
  if (!cache_dir.is_none()) options.cache_dir = fs_encode(cache_dir);
  options.while_waiting = check_while_waiting(std::make_shared<Signals>());
  const WithoutGil without_gil;
  return ImageFolder::open(folder, options);
}

ImageFolder from_samples(nb::handle root, nb::handle classes, nb::handle paths,
                         const Array<std::int64_t>& labels) {
  const std::string folder = fs_encode(root);
  const std::vector<std::string> names = fs_strings(classes, "classes");
  const std::vector<std::string> files = fs_strings(paths, "paths");
  // A copy: without the GIL another thread may write to the caller's array.
  const auto given = values_of(labels);
  const std::vector<std::int64_t> numbers(given.begin(), given.end());
  const WithoutGil without_gil;
  return ImageFolder::from_samples(folder, names, files, numbers);
}

std::size_t checked(const ImageFolder& dataset, std::int64_t index) {
  if (index < 0 || static_cast<std::uint64_t>(index) >= dataset.size()) {
    throw nb::index_error(("index " + std::to_string(index) + " is not in a dataset of " +
                           std::to_string(dataset.size()) + " entries")
                              .c_str());
  }
  return static_cast<std::size_t>(index);
}

nb::list strings(std::span<const std::string> texts) {
  nb::list list;
  for (const std::string& text : texts) list.append(fs_decode(text));
  return list;
}

/// What they are and the path of the first; None where every name is a JPEG's or PNG's.
nb::object other_formats(const ImageFolder& dataset,
                         const std::optional<Array<std::uint32_t>>& indices) {
  std::vector<std::uint32_t> entries;
  if (indices) entries = checked_entries(*indices, dataset.size(), "indices");
  const data::OtherFormats found = [&] {
    const WithoutGil without_gil;
    std::optional<std::span<const std::uint32_t>> some;
    if (indices) some = entries;
    return data::other_formats(dataset.index(), some);
  }();
  if (found.counts.empty()) return nb::none();
  const std::string text = found.text();
  return nb::make_tuple(nb::str(text.data(), text.size()), fs_decode(dataset.path(found.first)));
}

nb::object labels_of(const ImageFolder& dataset) {
  std::vector<std::int64_t> labels(dataset.size());
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = dataset.label(i);
  return to_array(std::span<const std::int64_t>(labels), "int64");
}

}  // namespace

void bind_dataset(nb::module_& module) {
  nb::class_<ImageFolder>(module, "Dataset", nb::is_final())
      .def_static("open", open_folder, nb::arg("root"), nb::kw_only(),
                  nb::arg("allow_empty") = false, nb::arg("use_cache") = true,
                  nb::arg("always_use_cache") = false, nb::arg("cache_dir") = nb::none())
      .def_static("from_samples", from_samples, nb::arg("root"), nb::arg("classes"),
                  nb::arg("paths"), nb::arg("labels").noconvert())
      .def("__len__", &ImageFolder::size)
      .def_prop_ro("root", [](const ImageFolder& self) { return fs_decode(self.root()); })
      .def_prop_ro("classes", [](const ImageFolder& self) { return strings(self.classes()); })
      .def_prop_ro("fingerprint", &ImageFolder::fingerprint)
      .def_prop_ro("warnings",
                   [](const ImageFolder& self) { return strings(self.report().warnings); })
      .def(
          "path",
          [](const ImageFolder& self, std::int64_t index) {
            return fs_decode(self.path(checked(self, index)));
          },
          nb::arg("index"))
      .def(
          "label",
          [](const ImageFolder& self, std::int64_t index) {
            return self.label(checked(self, index));
          },
          nb::arg("index"))
      .def("labels", labels_of)
      .def("other_formats", other_formats, nb::arg("indices").noconvert().none());
}

}  // namespace ringfeed::python
