#include "epoch_handle.h"

#include <utility>
#include <vector>

#include "convert.h"
#include "gil.h"

namespace ringfeed::python {
namespace {

/// After an interrupt that did not hit the sampler itself: ringfeed's Pull says so.
bool may_be_asked_again(const Source& source, const nb::python_error& error) {
  if (!error.matches(PyExc_KeyboardInterrupt) || source.batch->object == nullptr) return false;
  const nb::object failed = nb::getattr(nb::handle(source.batch->object), "failed", nb::none());
  return failed.is(nb::bool_(false));
}

/// Calls the sampler on the consumer's thread, which is without the GIL then.
BatchSource wrap(std::shared_ptr<Source> source, std::shared_ptr<Signals> signals,
                 std::size_t dataset_size) {
  return [source = std::move(source), signals = std::move(signals),
          dataset_size]() -> std::optional<std::vector<std::uint32_t>> {
    const nb::gil_scoped_acquire gil;
    for (;;) {
      if (source->batch->object == nullptr) return std::nullopt;  // the garbage collector has it
      try {
        const nb::object batch = nb::borrow(source->batch->object)();
        if (batch.is_none()) return std::nullopt;
        std::vector<std::uint32_t> entries =
            checked_entries(batch, dataset_size, "a batch of the sampler");
        if (entries.empty()) throw nb::value_error("a batch of the sampler is empty");
        return entries;
      } catch (const nb::python_error& error) {
        PythonError caught = signals->caught(error);  // and raised as soon as the window is full
        if (may_be_asked_again(*source, error)) continue;
        source->error = caught.value();
        throw caught;
      }
    }
  };
}

}  // namespace

EpochHandle::EpochHandle(nb::object owner, std::shared_ptr<LoaderHandle> loader,
                         std::uint64_t epoch, const Progress& start, nb::handle batch)
    : owner_(std::move(owner)), loader_(std::move(loader)) {
  const LoaderHandle::Consumer consumer(*loader_);
  BatchSource source;
  if (!batch.is_none()) {
    source_ = std::make_shared<Source>(Source{hold(nb::borrow(batch)), nullptr});
    source = wrap(source_, loader_->signals(), loader_->dataset_size());
  }
  const WithoutGil without_gil;  // the order of a large dataset takes milliseconds
  epoch_.emplace(source ? loader_->core().epoch(epoch, std::move(source), start)
                        : loader_->core().epoch(epoch, start));
}

std::optional<Batch> EpochHandle::next() {
  const LoaderHandle::Consumer consumer(*loader_);
  if (failed_) throw LoadError(*failed_);
  if (!offered_) {
    if (exiting()) return std::nullopt;
    before_ = epoch_->progress();
    try {
      offered_ = take();
    } catch (const LoadError& error) {
      if (error.error().stage == Stage::setup) {
        before_.reset();
      } else {
        failed_ = error;
      }
      throw;
    } catch (...) {
      before_.reset();
      throw;
    }
    if (!offered_) before_.reset();
  }
  if (offered_) loader_->signals()->check();  // now, before anybody works on the batch
  return offered_;
}

void EpochHandle::accept() noexcept {
  if (!offered_ && !failed_) return;
  offered_.reset();
  failed_.reset();
  before_.reset();
  drop_retired();  // with it page-locked memory's reference beside that which images() gave
}

std::optional<Batch> EpochHandle::take() {
  try {
    const WithoutGil without_gil;
    return epoch_->next();
  } catch (const PythonError& error) {
    loader_->signals()->reported(error);
    throw;
  } catch (const InterpreterEnds&) {
    return std::nullopt;
  }
}

Progress EpochHandle::progress() const { return before_ ? *before_ : epoch_->progress(); }

}  // namespace ringfeed::python
