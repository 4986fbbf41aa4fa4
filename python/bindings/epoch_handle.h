#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "loader_handle.h"
#include "object_ref.h"
#include "ringfeed/loader.h"

namespace ringfeed::python {

/// A sampler made elsewhere. Visited by the garbage collector, because the iterator that owns the
/// epoch may well be what `batch` is a method of, and the traceback of `error` leads to it.
struct Source {
  ObjectRef batch;  ///< gives the entries of one batch, an array of uint32, or None at the end
  ObjectRef error;  ///< what it raised, which the core may hold back for a while
};

/// A core epoch as Python sees it. Every member is called with the GIL; next() lets go of it.
///
/// The interpreter may raise KeyboardInterrupt after any call, with the result in nobody's hands.
/// So a batch counts as taken only once the caller, who has stored it, says so.
class EpochHandle {
 public:
  /// `owner` is the Python object of `loader`. `batch`: Source's, or None. `order_of`: as in
  /// Loader::epoch(), without a source.
  EpochHandle(nb::object owner, std::shared_ptr<LoaderHandle> loader, std::uint64_t epoch,
              const Progress& start, nb::handle batch, std::optional<std::uint64_t> order_of);
  EpochHandle(EpochHandle&&) = default;
  ~EpochHandle();

  /// The next batch, or the LoadError of one that failed, or what the sampler raised. With `keep`
  /// the same again until accept(), a batch sharing its memory.
  std::optional<Batch> next(bool keep);
  void accept() noexcept;
  /// Whether there is something to accept.
  bool offers() const noexcept { return offered_ || failed_ != nullptr; }
  /// Of the batches accepted. Also while next() waits, because signal handlers save states
  /// (Lightning's does when its job is preempted).
  Progress progress() const;
  /// Of the batches that the core has given, that which is not accepted yet too.
  Failures failures() const { return epoch_->failures(); }
  bool pinned() const noexcept { return loader_->pinned() != nullptr; }
  nb::handle owner() const noexcept { return owner_; }
  /// Null without a sampler.
  const Source* source() const noexcept { return source_.get(); }

 private:
  std::optional<Batch> take();
  /// `failure` if the core tells of it only once, else null.
  std::exception_ptr kept(const std::exception_ptr& failure) const;

  nb::object owner_;
  std::shared_ptr<LoaderHandle> loader_;
  std::shared_ptr<Source> source_;
  std::optional<Epoch> epoch_;
  // What the core gave, until it is accepted.
  std::optional<Batch> offered_;
  std::exception_ptr failed_;
  std::optional<Progress> before_;  // within next(), and while there is one of these
};

}  // namespace ringfeed::python
