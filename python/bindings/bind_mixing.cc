#include <nanobind/nanobind.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "augment/batch_mixing.h"
#include "augment/mixing.h"
#include "bindings.h"
#include "choice.h"
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

constexpr std::pair<std::string_view, augment::MixKind> kinds[] = {
    {"none", augment::MixKind::none},
    {"mixup", augment::MixKind::mixup},
    {"cutmix", augment::MixKind::cutmix}};

using Sides = std::tuple<int, int, int, int>;
using MixValues = std::tuple<std::string, double, std::optional<Sides>>;

/// What Python's Mix is made of: kind, lam, and of CutMix the left, top, right and bottom.
MixValues values_of(const augment::Mix& mix) {
  std::optional<Sides> sides;
  if (mix.kind == augment::MixKind::cutmix) {
    const Box& box = mix.box;
    sides = Sides{box.left, box.top, box.left + box.width, box.top + box.height};
  }
  const auto named =
      std::ranges::find(kinds, mix.kind, [](const auto& kind) { return kind.second; });
  return {std::string(named->first), mix.lam, sides};
}

std::pair<std::size_t, MixValues> choose_mix(
    data::RandomStream& stream, const std::vector<std::tuple<std::string, double, double>>& given,
    int height, int width) {
  std::vector<augment::MixChoice> choices;
  choices.reserve(given.size());
  for (const auto& [kind, alpha, weight] : given) {
    choices.push_back({choose("kind", kind, kinds), alpha, weight});
  }
  const auto possible = [](const augment::MixChoice& choice) { return choice.weight > 0; };
  if (std::ranges::none_of(choices, possible)) {
    throw nb::value_error("one of the choices must have a weight above 0");
  }
  const augment::ChosenMix chosen = augment::choose_mix(choices, stream, height, width);
  return {chosen.choice, values_of(chosen.mix)};
}

std::vector<MixValues> draw_timm(data::RandomStream& stream, std::size_t size, int height,
                                 int width, double mixup_alpha, double cutmix_alpha,
                                 const std::optional<std::array<double, 2>>& cutmix_minmax,
                                 double prob, double switch_prob, const std::string& mode,
                                 bool correct_lam) {
  using Mode = Mixing::Mode;
  if (cutmix_minmax && !augment::has_box(*cutmix_minmax, height, width)) {
    throw nb::value_error("cutmix_minmax leaves no box to draw");
  }
  const Mixing mixing{
      .rule = Mixing::Rule::timm,
      .mixup_alpha = mixup_alpha,
      .cutmix_alpha = cutmix_alpha,
      .prob = prob,
      .switch_prob = switch_prob,
      .mode = choose<Mode>("mode", mode,
                           {{"batch", Mode::batch}, {"pair", Mode::pair}, {"elem", Mode::elem}}),
      .cutmix_minmax = cutmix_minmax,
      .correct_lam = correct_lam};
  std::vector<MixValues> values;
  for (const augment::Mix& mix : augment::draw_timm(mixing, stream, size, height, width)) {
    values.push_back(values_of(mix));
  }
  return values;
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
  module.def("choose_mix", choose_mix, nb::arg("stream"), nb::arg("choices"), nb::arg("height"),
             nb::arg("width"));
  module.def("draw_timm_mix", draw_timm, nb::arg("stream"), nb::kw_only(), nb::arg("size"),
             nb::arg("height"), nb::arg("width"), nb::arg("mixup_alpha"), nb::arg("cutmix_alpha"),
             nb::arg("cutmix_minmax").none(), nb::arg("prob"), nb::arg("switch_prob"),
             nb::arg("mode"), nb::arg("correct_lam"));
  module.def("has_cutmix_box", augment::has_box, nb::arg("minmax"), nb::arg("height"),
             nb::arg("width"));
}

}  // namespace ringfeed::python
