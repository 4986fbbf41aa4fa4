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

/// Validated, and as timm's constructor leaves it.
Mixing complete(Mixing mixing) {
  mixing.validate();
  if (mixing.cutmix_minmax) mixing.cutmix_alpha = 1;
  return mixing;
}

void check_images(const Mixing& mixing, std::span<const augment::MixChoice> choices,
                  const TransformPlan& plan) {
  if (mixing.rule == Mixing::Rule::torchvision) {
    const auto multiplies = [](const auto& one) { return one.kind == augment::MixKind::mixup; };
    if (plan.dtype == DType::uint8 && std::ranges::any_of(choices, multiplies)) {
      throw OptionError(
          "Mixing: mixup_alpha multiplies pixels, and the plan's dtype is uint8: choose a float "
          "one, or Rule::timm",
          {});
    }
  } else if (mixing.cutmix_minmax &&
             !augment::has_box(*mixing.cutmix_minmax, plan.out_height(), plan.out_width())) {
    throw OptionError("Mixing: cutmix_minmax leaves no box to draw in images of " +
                          std::to_string(plan.out_height()) + " x " +
                          std::to_string(plan.out_width()) + ": widen it",
                      {});
  }
}

constexpr const char* even_batches =
    ": set an even batch_size and drop_last, or take Rule::torchvision";

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
             const LoaderOptions& options)
    : mixing_(complete(mixing)),
      choices_(augment::choices_of(mixing_)),
      classes_(0),
      height_(plan.out_height()),
      width_(plan.out_width()),
      dtype_(plan.dtype),
      total_(options.indices ? options.indices->size() : dataset.size()),
      batch_size_(static_cast<std::size_t>(options.batch_size)),
      drop_last_(options.drop_last),
      order_{.rank = options.rank, .world_size = options.world_size, .uneven = options.uneven} {
  check_images(mixing_, choices_, plan);
  if (mixing_.rule == Mixing::Rule::timm && options.on_error == OnError::skip) {
    throw OptionError(
        "Mixing: Rule::timm needs even batches, and {} = skip leaves odd ones: take replace",
        {Option::on_error});
  }
  classes_ = count_classes(mixing_, dataset, options);
}

void Mixer::check_epoch(const Progress& start) const {
  if (mixing_.rule != Mixing::Rule::timm) return;
  data::OrderOptions order = order_;
  order.start = start.positions;
  const std::size_t samples = data::EpochOrder::share(total_, order);
  const auto refuse = [](const std::string& found) {
    throw OptionError(
        "Mixing: Rule::timm needs even batches, and this epoch has " + found + even_batches, {});
  };
  if (batch_size_ % 2 != 0) refuse("batch_size = " + std::to_string(batch_size_));
  const std::size_t last = samples % batch_size_;
  if (!drop_last_ && last % 2 != 0) refuse("a last batch of " + std::to_string(last));
}

MixDraw Mixer::draw(const Batch& batch, std::uint64_t seed, std::uint64_t epoch) const {
  data::RandomStream stream(data::make_key(seed, epoch), batch.positions.front(),
                            data::Purpose::mixing);
  if (mixing_.rule == Mixing::Rule::torchvision) {
    return {{augment::choose_mix(choices_, stream, height_, width_).mix}, false};
  }
  if (batch.size() % 2 != 0) {
    throw std::invalid_argument("Mixing: Rule::timm needs even batches, and this one is of " +
                                std::to_string(batch.size()) + even_batches);
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
