// A file to tensors under any recipe: the same bytes again, and nothing outside the sample's own
// memory.
#include <fuzzer/FuzzedDataProvider.h>

#include <compare>
#include <iterator>
#include <map>
#include <memory>
#include <vector>

#include "batch/lay_out.h"
#include "fuzz/attempt.h"
#include "ringfeed/policies.h"
#include "sample/sample_maker.h"

namespace {

using namespace ringfeed;
using namespace ringfeed::fuzz;

/// What a plan is made of.
struct Choices {
  std::uint8_t height, width, geometry, resize, interpolation, flip, policy, dtype, flags;
  auto operator<=>(const Choices&) const = default;
};

Choices draw_choices(FuzzedDataProvider& input) {
  Choices drawn;
  for (std::uint8_t* choice :
       {&drawn.height, &drawn.width, &drawn.geometry, &drawn.resize, &drawn.interpolation,
        &drawn.flip, &drawn.policy, &drawn.dtype, &drawn.flags}) {
    *choice = input.ConsumeIntegral<std::uint8_t>();
  }
  return drawn;
}

TransformPlan make_plan(const Choices& drawn) {
  TransformPlan plan;
  const int height = 1 + drawn.height % 40, width = 1 + drawn.width % 40;
  switch (drawn.geometry % 3) {
    case 0: {
      RandomResizedCrop crop;
      crop.height = height;
      crop.width = width;
      plan.geometry = crop;
      break;
    }
    case 1: {
      ResizeCenterCrop crop;
      crop.resize = 1 + drawn.resize % 60;
      crop.height = height;
      crop.width = width;
      plan.geometry = crop;
      break;
    }
    default: {
      ResizeRandomCrop crop;
      crop.resize = 40 + drawn.resize % 21;
      crop.height = height;
      crop.width = width;
      plan.geometry = crop;
    }
  }
  plan.interpolation = interpolations[drawn.interpolation % std::size(interpolations)].second;
  plan.hflip_probability = drawn.flip % 3 * 0.5;
  const PolicyOptions options{.height = height, .width = width};
  switch (drawn.policy % 4) {
    case 1: plan.augmentation = {auto_augment(options)}; break;
    case 2: plan.augmentation = {rand_augment(options)}; break;
    case 3: plan.augmentation = {trivial_augment_wide(options)}; break;
    default: break;
  }
  plan.dtype = static_cast<DType>(drawn.dtype % 4);
  if (plan.dtype == DType::uint8) plan.normalize.flavour = Normalize::Flavour::none;
  if ((drawn.flags & 1) != 0) plan.layout = Layout::channels_last;
  if ((drawn.flags & 2) != 0) plan.pillow = PillowRule::before_13;
  if (plan.dtype != DType::uint8 && (drawn.flags & 4) != 0) plan.erasing = RandomErasing{};
  return plan;
}

/// The views of an image, and what makes them: file after file, as in a loader.
struct Recipe {
  explicit Recipe(const std::vector<TransformPlan>& plans)
      : views(batch::lay_out(plans, 1)), maker(plans, small_limits()) {}
  std::vector<BatchView> views;
  sample::SampleMaker maker;
};

/// Kept, since the tables of a policy take most of an execution's time: what an input fails with
/// may need those before it. Null: there is no such plan.
Recipe* recipe_of(const std::vector<Choices>& drawn) {
  constexpr std::size_t most = 256;
  static std::map<std::vector<Choices>, std::unique_ptr<Recipe>> recipes;
  if (const auto found = recipes.find(drawn); found != recipes.end()) return found->second.get();
  if (recipes.size() == most) recipes.clear();
  std::vector<TransformPlan> plans;
  for (const Choices& choices : drawn) plans.push_back(make_plan(choices));
  std::unique_ptr<Recipe>& made = recipes[drawn];
  try {
    for (const TransformPlan& plan : plans) plan.validate();
  } catch (const std::invalid_argument&) {
    return nullptr;
  }
  made = std::make_unique<Recipe>(plans);
  return made.get();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzedDataProvider input(data, size);
  std::vector<Choices> drawn{draw_choices(input)};
  if (input.ConsumeBool()) drawn.push_back(draw_choices(input));
  Recipe* const recipe = recipe_of(drawn);
  if (recipe == nullptr) return -1;
  auto& [views, maker] = *recipe;
  const data::Key key = data::make_key(input.ConsumeIntegral<std::uint8_t>(), 0);
  const std::vector<std::uint8_t> file = input.ConsumeRemainingBytes<std::uint8_t>();
  std::vector<std::byte> first(batch::bytes_of(views, 1)), again = first;
  const auto made = maker.make(std::as_bytes(std::span(file)), key, 7, {first.data(), views});
  const auto more = maker.make(std::as_bytes(std::span(file)), key, 7, {again.data(), views});
  if (made.has_value() != more.has_value()) fail("the second verdict differs");
  if (made && first != again) fail("the second sample differs");
  return 0;
}
