#include "epoch_handle.h"

#include <string>
#include <utility>
#include <vector>

#include "convert.h"
#include "gil.h"

namespace ringfeed::python {
namespace {

/// After an interrupt that did not hit the sampler itself: SamplerBatches says so.
bool may_be_asked_again(const Source& source, const nb::python_error& error) {
  if (!error.matches(PyExc_KeyboardInterrupt) || source.batch->object == nullptr) return false;
  const nb::object failed = nb::getattr(nb::handle(source.batch->object), "failed", nb::none());
  return failed.is(nb::bool_(false));
}

Array<std::uint32_t> array_of(const nb::object& batch) {
  Array<std::uint32_t> array;
  if (nb::try_cast(batch, array, /*convert=*/false)) return array;
  throw nb::type_error(("a batch of the sampler must be a NumPy array of uint32, shape [n], not " +
                        std::string(nb::inst_name(batch).c_str()))
                           .c_str());
}

/// Calls the sampler on the consumer's thread, which is without the GIL then.
BatchSource wrap(std::shared_ptr<Source> source, std::shared_ptr<Signals> signals,
                 std::size_t dataset_size) {
  return [source = std::move(source), signals = std::move(signals),
          dataset_size]() -> std::optional<std::vector<std::uint32_t>> {
    const nb::gil_scoped_acquire gil;
    for (int interrupts = 0;; ++interrupts) {
      if (source->batch->object == nullptr) return std::nullopt;  // the garbage collector has it
      try {
        const nb::object batch = nb::borrow(source->batch->object)();
        if (batch.is_none()) return std::nullopt;
        std::vector<std::uint32_t> entries =
            checked_entries(array_of(batch), dataset_size, "a batch of the sampler");
        if (entries.empty()) throw nb::value_error("a batch of the sampler is empty");
        return entries;
      } catch (const nb::python_error& error) {
        PythonError caught = signals->caught(error);  // and raised as soon as the window is full
        if (interrupts < 8 && may_be_asked_again(*source, error)) continue;
        source->error = caught.value();
        throw caught;
      }
    }
  };
}

}  // namespace

EpochHandle::EpochHandle(nb::object owner, std::shared_ptr<LoaderHandle> loader,
                         std::uint64_t epoch, const Progress& start, nb::handle batch,
                         std::optional<std::uint64_t> order_of)
    : owner_(std::move(owner)), loader_(std::move(loader)) {
  const LoaderHandle::Consumer consumer(*loader_);
  BatchSource source;
  if (!batch.is_none()) {
    source_ = std::make_shared<Source>(Source{hold(nb::borrow(batch)), nullptr});
    source = wrap(source_, loader_->signals(), loader_->dataset_size());
  }
  const WithoutGil without_gil;  // the order of a large dataset takes milliseconds
  epoch_.emplace(source ? loader_->core().epoch(epoch, std::move(source), start)
                        : loader_->core().epoch(epoch, start, order_of));
}

EpochHandle::~EpochHandle() {
  failed_ = nullptr;
  epoch_.reset();
  source_.reset();
  drop_retired();  // the sampler and its error, whose traceback may hold anything
}

std::optional<Batch> EpochHandle::next(bool keep) {
  const LoaderHandle::Consumer consumer(*loader_);
  if (!offers()) {
    if (exiting()) return std::nullopt;
    before_ = epoch_->progress();
    try {
      offered_ = take();
    } catch (...) {
      failed_ = kept(std::current_exception());
      if (!failed_) {
        before_.reset();
        throw;
      }
    }
    if (!offers()) before_.reset();
  }
  loader_->signals()->check();  // now, before anybody works on the batch
  const std::exception_ptr failed = failed_;
  std::optional<Batch> batch = offered_;
  if (!keep) accept();
  if (failed) std::rethrow_exception(failed);
  return batch;
}

std::exception_ptr EpochHandle::kept(const std::exception_ptr& failure) const {
  try {
    std::rethrow_exception(failure);
  } catch (const LoadError& error) {
    return error.error().stage == Stage::setup ? nullptr : failure;  // that can be tried again
  } catch (const PythonError& error) {
    const bool sampler = source_ != nullptr && source_->error == error.value();
    return sampler && error.matches(PyExc_Exception) ? failure : nullptr;
  } catch (...) {
    return nullptr;
  }
}

void EpochHandle::accept() noexcept {
  if (!offers()) return;
  offered_.reset();
  failed_ = nullptr;
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
