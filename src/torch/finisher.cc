#include "torch/finisher.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "augment/erasing.h"
#include "data/random.h"
#include "pack/packer.h"
#include "torch/tensors.h"

namespace ringfeed {
namespace {

at::Tensor channels(const std::array<float, 3>& values) {
  return at::tensor(at::ArrayRef<float>(values), at::kFloat).view({1, 3, 1, 1});
}

/// [3, 256] in the plan's dtype.
at::Tensor value_table(const TransformPlan& plan) {
  at::Tensor table = at::empty({3, 256}, at::TensorOptions(scalar_type(plan.dtype)));
  auto* out = static_cast<std::byte*>(table.mutable_data_ptr());
  for (const std::uint32_t bits : pack::reference_table(plan)) {
    // Little-endian, as every supported target: a shorter value is the word's beginning.
    std::memcpy(out, &bits, item_size(plan.dtype));
    out += item_size(plan.dtype);
  }
  return table;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.contiguous(), y = b.contiguous();
  return x.nbytes() == y.nbytes() &&
         std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

}  // namespace

TransformPlan unfinished(const TransformPlan& plan) {
  plan.validate();
  if (plan.erasing && plan.erasing->fill != RandomErasing::Fill::value) {
    throw std::invalid_argument(
        "finish_on: erasing fills with noise, which is made on the CPU: finish there, or fill with "
        "a value");
  }
  return pack::before_packing(plan);
}

Finisher::Finisher(const TransformPlan& plan, at::Device device)
    : plan_(plan),
      device_(device),
      // Tensors, because CUDA's division by a number multiplies by its reciprocal.
      scale_(at::tensor(plan.normalize.flavour == Normalize::Flavour::to_tensor
                            ? 255.0f
                            : static_cast<float>(1.0 / 255),
                        at::kFloat)
                 .to(device)),
      mean_(channels(plan.normalize.mean).to(device)),
      std_(channels(plan.normalize.std).to(device)),
      table_(value_table(plan).to(device)) {
  if (plan.erasing) {
    erase_value_ =
        channels(plan.erasing->value).view({3, 1, 1}).to(scalar_type(plan.dtype)).to(device);
  }
  const at::Tensor values =
      at::arange(256, at::kByte).view({256, 1, 1, 1}).repeat({1, 3, 1, 1}).to(device);
  const at::Tensor computed = compute(values).view({256, 3}).t().to(at::kCPU);
  uses_arithmetic_ = same_bits(computed, table_.to(at::kCPU));
}

at::Tensor Finisher::compute(const at::Tensor& images) const {
  if (plan_.dtype == DType::uint8) return images.clone();
  at::Tensor values = images.to(at::kFloat);
  switch (plan_.normalize.flavour) {
    case Normalize::Flavour::none: break;
    case Normalize::Flavour::to_tensor: values.div_(scale_); break;
    case Normalize::Flavour::to_dtype: values.mul_(scale_); break;
  }
  values.sub_(mean_).div_(std_);
  return values.to(scalar_type(plan_.dtype));
}

at::Tensor Finisher::look_up(const at::Tensor& images) const {
  at::Tensor values = at::empty_like(images, table_.options());
  for (std::int64_t channel = 0; channel < 3; ++channel) {
    const at::Tensor plane = images.select(1, channel);
    // torch takes bytes for a mask, and no smaller integers than these for an index.
    const at::Tensor index = plane.to(at::kInt).reshape({-1});
    values.select(1, channel)
        .copy_(table_.select(0, channel).index_select(0, index).view(plane.sizes()));
  }
  return values;
}

at::Tensor Finisher::finish(const at::Tensor& images, const std::vector<std::uint64_t>& positions,
                            std::uint64_t seed, std::uint64_t epoch) const {
  at::Tensor finished = uses_arithmetic_ ? compute(images) : look_up(images);
  if (!plan_.erasing) return finished;
  const data::Key key = data::make_key(seed, epoch);
  const int height = plan_.out_height(), width = plan_.out_width();
  std::vector<Box> boxes;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    augment::draw_erasing(*plan_.erasing, height, width, key, positions[i], boxes);
    for (const Box& box : boxes) {
      finished.select(0, static_cast<std::int64_t>(i))
          .narrow(1, box.top, box.height)
          .narrow(2, box.left, box.width)
          .copy_(erase_value_);
    }
  }
  return finished;
}

}  // namespace ringfeed
