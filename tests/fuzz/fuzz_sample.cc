// A file to tensors under any recipe: the same bytes again, and nothing outside the sample's own
// memory.
#include <fuzzer/FuzzedDataProvider.h>

#include "batch/lay_out.h"
#include "fuzz/attempt.h"
#include "ringfeed/policies.h"
#include "sample/sample_maker.h"

namespace {

using namespace ringfeed;
using namespace ringfeed::fuzz;

TransformPlan make_plan(FuzzedDataProvider& input) {
  TransformPlan plan;
  const int height = input.ConsumeIntegralInRange(1, 40),
            width = input.ConsumeIntegralInRange(1, 40);
  switch (input.ConsumeIntegralInRange(0, 2)) {
    case 0: {
      RandomResizedCrop crop;
      crop.height = height;
      crop.width = width;
      plan.geometry = crop;
      break;
    }
    case 1: {
      ResizeCenterCrop crop;
      crop.resize = input.ConsumeIntegralInRange(1, 60);
      crop.height = height;
      crop.width = width;
      plan.geometry = crop;
      break;
    }
    default: {
      ResizeRandomCrop crop;
      crop.resize = input.ConsumeIntegralInRange(40, 60);
      crop.height = height;
      crop.width = width;
      plan.geometry = crop;
    }
  }
  plan.interpolation = interpolations[input.ConsumeIntegralInRange<std::size_t>(0, 5)].second;
  plan.hflip_probability = input.ConsumeIntegralInRange(0, 2) * 0.5;
  const PolicyOptions options{.height = height, .width = width};
  switch (input.ConsumeIntegralInRange(0, 3)) {
    case 1: plan.augmentation = {auto_augment(options)}; break;
    case 2: plan.augmentation = {rand_augment(options)}; break;
    case 3: plan.augmentation = {trivial_augment_wide(options)}; break;
    default: break;
  }
  plan.dtype = static_cast<DType>(input.ConsumeIntegralInRange(0, 3));
  if (plan.dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  if (input.ConsumeBool()) plan.layout = Layout::channels_last;
  if (input.ConsumeBool()) plan.pillow = PillowRule::before_13;
  if (plan.dtype != DType::uint8 && input.ConsumeBool()) plan.erasing = RandomErasing{};
  return plan;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  std::vector<TransformPlan> plans{make_plan(input)};
  if (input.ConsumeBool()) plans.push_back(make_plan(input));
  try {
    for (const TransformPlan& plan : plans) plan.validate();
  } catch (const std::invalid_argument&) {
    return -1;
  }
  const data::Key key = data::make_key(input.ConsumeIntegral<std::uint8_t>(), 0);
  const std::vector<std::uint8_t> file = input.ConsumeRemainingBytes<std::uint8_t>();
  const auto views = batch::lay_out(plans, 1);
  sample::SampleMaker maker(plans, small_limits());
  std::vector<std::byte> first(batch::bytes_of(views, 1)), again = first;
  const auto made = maker.make(std::as_bytes(std::span(file)), key, 7, {first.data(), views});
  const auto more = maker.make(std::as_bytes(std::span(file)), key, 7, {again.data(), views});
  if (made.has_value() != more.has_value()) fail("the second verdict differs");
  if (made && first != again) fail("the second sample differs");
  return 0;
}
