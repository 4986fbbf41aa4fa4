#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <vector>

#include "object_ref.h"
#include "ringfeed/loader.h"
#include "signals.h"

namespace ringfeed::python {

/// A core loader as Python's objects share it. Every member is called, and dropped, with the GIL;
/// those that wait let go of it.
class LoaderHandle {
 public:
  /// `pinned`: may be null; see make_pinned_allocator().
  static std::shared_ptr<LoaderHandle> make(ImageFolder dataset, std::vector<TransformPlan> plans,
                                            LoaderOptions options, ObjectRef pinned);
  ~LoaderHandle();
  LoaderHandle(const LoaderHandle&) = delete;
  LoaderHandle& operator=(const LoaderHandle&) = delete;

  void stop();
  Loader& core() noexcept { return *loader_; }
  const std::shared_ptr<Signals>& signals() const noexcept { return signals_; }
  /// What makes the batches' memory; null: the core does.
  const ObjectRef& pinned() const noexcept { return pinned_; }
  std::size_t dataset_size() const noexcept { return dataset_size_; }

  /// Says that one thread is the consumer, until it goes out of scope. Throws RuntimeError where
  /// another one is.
  class Consumer {
   public:
    explicit Consumer(LoaderHandle& loader);
    ~Consumer() { loader_.consuming_ = false; }
    Consumer(const Consumer&) = delete;
    Consumer& operator=(const Consumer&) = delete;

   private:
    LoaderHandle& loader_;
  };

 private:
  LoaderHandle() = default;

  std::optional<Loader> loader_;
  std::shared_ptr<Signals> signals_ = std::make_shared<Signals>();
  std::size_t dataset_size_ = 0;
  ObjectRef pinned_;
  bool consuming_ = false;
  pid_t consumer_process_ = 0;
};

/// Stops all loaders and waits for the threads in their calls, so that none of them asks an
/// interpreter for its GIL that is no more. For Python's atexit.
void stop_all_loaders() noexcept;

}  // namespace ringfeed::python
