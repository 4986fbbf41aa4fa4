#pragma once

#include <nanobind/nanobind.h>

#include <string_view>

#include "ringfeed/error.h"

namespace ringfeed::python {

/// The names of options in Python: what a caller of DataLoader writes.
std::string_view argument_name(Option option) noexcept;

/// Core exceptions become Python's.
void bind_errors();
// Each fills in its part of what _ringfeed.pyi declares.
void bind_dataset(nanobind::module_& module);
void bind_augmentation(nanobind::module_& module);
void bind_plan(nanobind::module_& module);
void bind_loader(nanobind::module_& module);
void bind_mixing(nanobind::module_& module);
void bind_epoch(nanobind::module_& module);
void bind_decode(nanobind::module_& module);
void bind_file_fetcher(nanobind::module_& module);
void bind_window(nanobind::module_& module);

}  // namespace ringfeed::python
