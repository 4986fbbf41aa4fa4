#pragma once

#include <nanobind/nanobind.h>

namespace ringfeed::python {

// Each fills in its part of what _ringfeed.pyi declares.
void bind_errors();
void bind_dataset(nanobind::module_& module);
void bind_plan(nanobind::module_& module);
void bind_loader(nanobind::module_& module);
void bind_epoch(nanobind::module_& module);

}  // namespace ringfeed::python
