#pragma once

#include <memory>
#include <optional>

#include "loader_handle.h"
#include "object_ref.h"
#include "ringfeed/loader.h"

namespace ringfeed::python {

/// A core epoch as Python sees it. Every member is called with the GIL; next() lets go of it.
class EpochHandle {
 public:
  /// `source`: None, or a callable that gives the entries of one batch, or None at the end.
  EpochHandle(std::shared_ptr<LoaderHandle> loader, std::uint64_t epoch, const Progress& start,
              nb::handle source);

  std::optional<Batch> next();
  /// Of the batches that next() has returned.
  Progress progress();
  bool pinned() const noexcept { return loader_->pinned(); }
  /// For the garbage collector: the iterator that owns an epoch may well be what `source` is of.
  const ObjectRef& source() const noexcept { return source_; }

 private:
  const std::shared_ptr<LoaderHandle> loader_;
  ObjectRef source_;
  std::optional<Epoch> epoch_;
  // What the core gave just before a signal handler raised: for the next call.
  std::optional<Batch> kept_;
  Progress before_kept_;
};

}  // namespace ringfeed::python
