#include "loader_handle.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "gil.h"
#include "pinned_allocator.h"

namespace ringfeed::python {
namespace {

/// Guarded by the GIL; never destroyed, because loaders may outlive static objects.
std::vector<std::weak_ptr<LoaderHandle>>& live_loaders() {
  static auto* const loaders = new std::vector<std::weak_ptr<LoaderHandle>>;
  return *loaders;
}

}  // namespace

std::shared_ptr<LoaderHandle> LoaderHandle::make(ImageFolder dataset,
                                                 std::vector<TransformPlan> plans,
                                                 LoaderOptions options, ObjectRef pinned) {
  drop_retired();
  std::shared_ptr<LoaderHandle> handle(new LoaderHandle);
  handle->dataset_size_ = dataset.size();
  if (pinned != nullptr) options.allocator = make_pinned_allocator(pinned, handle->signals_);
  handle->pinned_ = std::move(pinned);
  options.while_waiting = check_while_waiting(handle->signals_);
  {
    const WithoutGil without_gil;
    handle->loader_.emplace(std::move(dataset), std::move(plans), std::move(options));
  }
  std::erase_if(live_loaders(), [](const auto& loader) { return loader.expired(); });
  live_loaders().push_back(handle);
  return handle;
}

LoaderHandle::~LoaderHandle() {
  {
    const WithoutGil without_gil;
    loader_.reset();
  }
  drop_retired();
}

void LoaderHandle::stop() {
  {
    const WithoutGil without_gil;
    loader_->stop();
  }
  drop_retired();
}

LoaderHandle::Consumer::Consumer(LoaderHandle& loader) : loader_(loader) {
  drop_retired();
  const pid_t process = getpid();
  // A fork leaves the mark of a thread that the child does not have.
  if (loader.consuming_ && loader.consumer_process_ == process) {
    throw std::runtime_error("this loader is in use: one thread at a time may take its batches");
  }
  loader.consuming_ = true;
  loader.consumer_process_ = process;
}

void stop_all_loaders() noexcept {
  keep_gil();
  std::vector<std::shared_ptr<LoaderHandle>> loaders;
  for (const auto& entry : live_loaders()) {
    if (auto loader = entry.lock()) loaders.push_back(std::move(loader));
  }
  PyThreadState* state = PyEval_SaveThread();
  for (const auto& loader : loaders) loader->core().stop();
  PyEval_RestoreThread(state);
  await_gil_returned(std::chrono::seconds(2));
  loaders.clear();
  drop_retired();
}

}  // namespace ringfeed::python
