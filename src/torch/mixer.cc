#include "torch/mixer.h"

#include <ATen/ops/empty.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <algorithm>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>

#include "torch/tensors.h"

namespace ringfeed {
namespace {

std::string size_of(int width, int height) {
  return std::to_string(width) + " x " + std::to_string(height);
}

void check_images(const Mixing& mixing, const TransformPlan& plan) {
  if (mixing.rule == Mixing::Rule::torchvision) {
    if (plan.dtype == DType::uint8 && mixing.mixup_alpha > 0) {
      throw OptionError(
          "Mixing: mixup_alpha multiplies pixels, and the plan's dtype is uint8: choose a float "
          "one, or Rule::timm",
          {});
    }
  } else if (mixing.cutmix_minmax &&
             !augment::has_box(*mixing.cutmix_minmax, plan.out_height(), plan.out_width())) {
    throw OptionError("Mixing: cutmix_minmax leaves no box to draw in images of " +
                          size_of(plan.out_width(), plan.out_height()) + ": widen it",
                      {});
  }
}

/// Each sample of timm's needs a partner of its own.
void check_even(const LoaderOptions& options, std::size_t samples) {
  const auto refuse = [](const std::string& found) {
    throw OptionError("Mixing: Rule::timm needs even batches, and this loader has " + found +
                          ": set an even {} and drop_last, or take Rule::torchvision",
                      {Option::batch_size, Option::batch_size});
  };
  if (options.batch_size % 2 != 0) refuse("{} = " + std::to_string(options.batch_size));
  const std::size_t last = samples % static_cast<std::size_t>(options.batch_size);
  if (!options.drop_last && last % 2 != 0) refuse("a last batch of " + std::to_string(last));
}

/// The targets' columns.
std::int64_t count_classes(const Mixing& mixing, const ImageFolder& dataset,
                           const LoaderOptions& options) {
  const std::int64_t classes =
      mixing.num_classes > 0 ? mixing.num_classes : std::ssize(dataset.classes());
  if (classes == 0) {
    throw OptionError("Mixing: num_classes must be set, because the dataset names no classes", {});
  }
  const auto check = [&](std::size_t index) {
    const std::int64_t label = dataset.label(index);
    if (label >= 0 && label < classes) return;
    throw OptionError("Mixing: num_classes = " + std::to_string(classes) +
                          " leaves no column for the label " + std::to_string(label) + " of " +
                          dataset.path(index),
                      {});
  };
  if (options.indices) {
    std::ranges::for_each(*options.indices, check);
  } else if (classes < std::ssize(dataset.classes()) || dataset.classes().empty()) {
    std::ranges::for_each(std::views::iota(std::size_t{0}, dataset.size()), check);
  }
  return classes;
}

/// As timm has it in a batch of this dtype.
float rounded(float value, DType dtype) {
  switch (dtype) {
    case DType::float16: return c10::Half(value);
    case DType::bfloat16: return c10::BFloat16(value);
    case DType::float32:
    case DType::uint8: break;
  }
  return value;
}

}  // namespace

Mixer::Mixer(const Mixing& mixing, const TransformPlan& plan, const ImageFolder& dataset,
             const LoaderOptions& options, std::size_t samples)
    : mixing_(mixing),
      choices_(augment::choices_of(mixing)),
      classes_(0),
      height_(plan.out_height()),
      width_(plan.out_width()),
      dtype_(plan.dtype) {
  mixing.validate();
  check_images(mixing, plan);
  if (mixing.rule == Mixing::Rule::timm) check_even(options, samples);
  classes_ = count_classes(mixing, dataset, options);
}

MixDraw Mixer::draw(const Batch& batch, std::uint64_t seed, std::uint64_t epoch) const {
  data::RandomStream stream(data::make_key(seed, epoch), batch.positions.front(),
                            data::Purpose::mixing);
  if (mixing_.rule == Mixing::Rule::torchvision) {
    return {{augment::choose_mix(choices_, stream, height_, width_).mix}, false};
  }
  if (batch.size() % 2 != 0) {
    throw std::invalid_argument("Mixing: Rule::timm needs an even batch, and this one has " +
                                std::to_string(batch.size()) + " samples");
  }
  return {augment::draw_timm(mixing_, stream, batch.size(), height_, width_), true};
}

at::Tensor Mixer::targets(const Batch& batch, const MixDraw& draw) const {
  const auto no_column = [&](std::int64_t label) { return label < 0 || label >= classes_; };
  const auto bad = std::ranges::find_if(batch.labels, no_column);
  if (bad != batch.labels.end()) {
    throw std::invalid_argument("Mixing: num_classes = " + std::to_string(classes_) +
                                " leaves no column for the label " + std::to_string(*bad));
  }
  const auto size = static_cast<std::int64_t>(batch.size());
  at::Tensor targets = at::empty(
      {size, classes_}, at::TensorOptions(at::kFloat).pinned_memory(is_page_locked(batch)));
  const double smoothed = mixing_.label_smoothing / static_cast<double>(classes_);
  const auto off = static_cast<float>(smoothed);
  const auto on = static_cast<float>(1.0 - mixing_.label_smoothing + smoothed);
  const bool each = draw.mixes.size() > 1;
  for (std::int64_t i = 0; i < size; ++i) {
    const augment::Mix& mix = draw.mixes[each ? static_cast<std::size_t>(i) : 0];
    const float lam =
        each ? rounded(static_cast<float>(mix.lam), dtype_) : static_cast<float>(mix.lam);
    const float rest = each ? rounded(1 - lam, dtype_) : static_cast<float>(1 - mix.lam);
    const std::int64_t partner = draw.mirrored ? size - 1 - i : (i + size - 1) % size;
    const std::int64_t own = batch.labels[static_cast<std::size_t>(i)];
    const std::int64_t theirs = batch.labels[static_cast<std::size_t>(partner)];
    const std::span row(targets.mutable_data_ptr<float>() + i * classes_,
                        static_cast<std::size_t>(classes_));
    // All that a row of smoothed labels, mixed with another, can hold.
    const auto value = [&](std::int64_t column) {
      return (column == theirs ? on : off) * rest + (column == own ? on : off) * lam;
    };
    std::ranges::fill(row, value(-1));
    for (const std::int64_t column : {own, theirs}) {
      row[static_cast<std::size_t>(column)] = value(column);
    }
  }
  return targets;
}

}  // namespace ringfeed
