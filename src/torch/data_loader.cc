#include <ATen/Context.h>

#include <utility>

#include "ringfeed/torch.h"
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
                       bool pin_memory)
    : core_(std::move(dataset), plan, with_allocator(std::move(options), pin_memory)) {}

DataLoader::Epoch DataLoader::epoch(std::uint64_t epoch, const Progress& start) & {
  return Epoch(core_.epoch(epoch, start));
}

DataLoader::Epoch DataLoader::epoch(std::uint64_t epoch, BatchSource source,
                                    const Progress& start) & {
  return Epoch(core_.epoch(epoch, std::move(source), start));
}

std::optional<DataLoader::Example> DataLoader::Epoch::next() {
  std::optional<Batch> batch = batches_.next();
  if (!batch) return std::nullopt;
  at::Tensor labels = copy_labels(*batch);
  return Example(take_images(*batch), std::move(labels));
}

}  // namespace ringfeed
