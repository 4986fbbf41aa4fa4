#include <ATen/Context.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ringfeed/torch.h"
#include "torch/finisher.h"
#include "torch/mixer.h"
#include "torch/tensors.h"

namespace ringfeed {
namespace {

LoaderOptions with_allocator(LoaderOptions options, bool pin_memory) {
  // hasCUDA() asks for a device: a CUDA build of torch on a machine without one pins nothing.
  if (options.allocator == nullptr && pin_memory && at::hasCUDA()) {
    options.allocator = make_tensor_allocator(true);
  }
  return options;
}

void refuse_with_views(const TorchOptions& options) {
  if (options.finish_on) {
    throw OptionError("finish_on: several views of an image are finished on the CPU: leave it out",
                      {});
  }
  if (options.mixing) {
    throw OptionError(
        "mixing: mixes one image of each sample, and the plans give several views: leave it out, "
        "and mix the views in the training step",
        {});
  }
}

}  // namespace

DataLoader::DataLoader(const ImageFolder& dataset, const TransformPlan& plan,
                       const LoaderOptions& options, const TorchOptions& torch_options)
    : seed_(options.seed),
      core_(dataset, torch_options.finish_on ? unfinished(plan) : plan,
            with_allocator(options, torch_options.pin_memory)) {
  if (torch_options.mixing) {
    mixer_ = std::make_shared<const Mixer>(*torch_options.mixing, plan, dataset, options);
  }
  if (torch_options.finish_on) {
    finisher_ = std::make_shared<const Finisher>(plan, *torch_options.finish_on);
  }
}

DataLoader::DataLoader(ImageFolder dataset, std::vector<TransformPlan> plans, LoaderOptions options,
                       const TorchOptions& torch_options)
    : seed_(options.seed),
      core_(std::move(dataset), std::move(plans),
            with_allocator(std::move(options), torch_options.pin_memory)) {
  refuse_with_views(torch_options);
}

DataLoader::Epoch::Epoch(ringfeed::Epoch batches, const DataLoader& loader, std::uint64_t epoch)
    : batches_(std::move(batches)),
      finisher_(loader.finisher_),
      mixer_(loader.mixer_),
      seed_(loader.seed_),
      epoch_(epoch) {}

DataLoader::Epoch DataLoader::epoch(std::uint64_t epoch, const Progress& start) & {
  if (mixer_ != nullptr) mixer_->check_epoch(start);
  return Epoch(core_.epoch(epoch, start), *this, epoch);
}

DataLoader::Epoch DataLoader::epoch(std::uint64_t epoch, BatchSource source,
                                    const Progress& start) & {
  return Epoch(core_.epoch(epoch, std::move(source), start), *this, epoch);
}

std::optional<DataLoader::Example> DataLoader::Epoch::next() {
  std::optional<ViewsExample> batch = next_views();
  if (!batch) return std::nullopt;
  return Example(std::move(batch->data.front()), std::move(batch->target));
}

std::optional<DataLoader::ViewsExample> DataLoader::Epoch::next_views() {
  std::optional<Batch> batch = batches_.next();
  if (!batch) return std::nullopt;
  std::optional<MixDraw> draw;
  if (mixer_ != nullptr) draw = mixer_->draw(*batch, seed_, epoch_);
  at::Tensor target = draw ? mixer_->targets(*batch, *draw) : copy_labels(*batch);
  const bool non_blocking = is_torchs(*batch);
  std::vector<at::Tensor> views = take_images(*batch);
  if (finisher_ != nullptr) {  // of a loader of one plan
    at::Tensor& images = views.front();
    const at::Device device = finisher_->device();
    images = images.to(device, images.scalar_type(), non_blocking);
    images = finisher_->finish(images, batch->positions, seed_, epoch_);
    target = target.to(device, target.scalar_type(), /*non_blocking=*/true);
  }
  if (draw) mix_images(views.front(), *draw);
  return ViewsExample(std::move(views), std::move(target));
}

}  // namespace ringfeed
