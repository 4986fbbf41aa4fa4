#include <nanobind/nanobind.h>

#include <cmath>
#include <cstdint>

#include "augment/mixing.h"
#include "bindings.h"
#include "data/random.h"

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

std::uint64_t bounded(data::RandomStream& self, std::uint64_t n) {
  if (n == 0) throw nb::value_error("n must be above 0");
  return self.bounded(n);
}

float beta(data::RandomStream& self, double alpha) {
  if (!(alpha > 0) || !std::isfinite(alpha)) {
    throw nb::value_error("alpha must be finite and above 0");
  }
  return augment::draw_beta(self, alpha);
}

}  // namespace

void bind_mixing(nb::module_& module) {
  nb::class_<data::RandomStream>(module, "MixingStream", nb::is_final())
      .def(
          "__init__",
          [](data::RandomStream* self, std::uint64_t seed, std::uint64_t epoch,
             std::uint64_t position) {
            new (self)
                data::RandomStream(data::make_key(seed, epoch), position, data::Purpose::mixing);
          },
          nb::arg("seed"), nb::arg("epoch"), nb::arg("position"))
      .def("uniform", &data::RandomStream::uniform)
      .def("bounded", bounded, nb::arg("n"))
      .def("beta", beta, nb::arg("alpha"));
}

}  // namespace ringfeed::python
