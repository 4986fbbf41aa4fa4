#include <ATen/Context.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "ringfeed/torch.h"
#include "torch/finisher.h"
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

}  // namespace

DataLoader::DataLoader(ImageFolder dataset, TransformPlan plan, LoaderOptions options,
                       bool pin_memory, std::optional<at::Device> finish_on)
    : seed_(options.seed),
      core_(std::move(dataset), finish_on ? unfinished(plan) : plan,
            with_allocator(std::move(options), pin_memory)) {
  if (finish_on) finisher_ = std::make_shared<const Finisher>(plan, *finish_on);
}

DataLoader::DataLoader(ImageFolder dataset, std::vector<TransformPlan> plans, LoaderOptions options,
                       bool pin_memory)
    : seed_(options.seed),
      core_(std::move(dataset), std::move(plans), with_allocator(std::move(options), pin_memory)) {}

DataLoader::Epoch DataLoader::epoch(std::uint64_t epoch, const Progress& start) & {
  return Epoch(core_.epoch(epoch, start), finisher_, seed_, epoch);
}

DataLoader::Epoch DataLoader::epoch(std::uint64_t epoch, BatchSource source,
                                    const Progress& start) & {
  return Epoch(core_.epoch(epoch, std::move(source), start), finisher_, seed_, epoch);
}

std::optional<DataLoader::Example> DataLoader::Epoch::next() {
  std::optional<ViewsExample> batch = next_views();
  if (!batch) return std::nullopt;
  return Example(std::move(batch->data.front()), std::move(batch->target));
}

std::optional<DataLoader::ViewsExample> DataLoader::Epoch::next_views() {
  std::optional<Batch> batch = batches_.next();
  if (!batch) return std::nullopt;
  at::Tensor labels = copy_labels(*batch);
  const bool non_blocking = is_torchs(*batch);
  std::vector<at::Tensor> views = take_images(*batch);
  if (finisher_ != nullptr) {  // of a loader of one plan
    at::Tensor& images = views.front();
    const at::Device device = finisher_->device();
    images = images.to(device, images.scalar_type(), non_blocking);
    images = finisher_->finish(images, batch->positions, seed_, epoch_);
    labels = labels.to(device, labels.scalar_type(), /*non_blocking=*/true);
  }
  return ViewsExample(std::move(views), std::move(labels));
}

}  // namespace ringfeed
