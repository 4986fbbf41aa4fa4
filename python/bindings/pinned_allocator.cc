#include "pinned_allocator.h"

#include <bit>
#include <new>
#include <utility>

namespace ringfeed::python {
namespace {

class PinnedAllocator final : public BatchAllocator {
 public:
  PinnedAllocator(ObjectRef allocate, std::shared_ptr<Signals> signals)
      : allocate_(std::move(allocate)), signals_(std::move(signals)) {}

  BatchMemory allocate(std::size_t bytes) override {
    const nb::gil_scoped_acquire gil;
    if (allocate_->object == nullptr) throw std::bad_alloc();  // the garbage collector has it
    try {
      nb::object result = nb::borrow(allocate_->object)(bytes);
      if (!nb::isinstance<nb::tuple>(result) || nb::len(result) != 2) {
        throw nb::type_error("pinned(bytes) must return an object and its address");
      }
      const auto address = nb::cast<std::uintptr_t>(result[1]);
      if (address == 0 || address % 64 != 0) {
        throw nb::value_error("pinned(bytes) must return memory that is aligned to 64 bytes");
      }
      return {reinterpret_cast<std::byte*>(address), bytes, hold(result[0])};
    } catch (const nb::python_error& error) {
      throw signals_->caught(error);
    }
  }

  std::size_t footprint(std::size_t bytes) const noexcept override { return std::bit_ceil(bytes); }

 private:
  ObjectRef allocate_;
  std::shared_ptr<Signals> signals_;
};

}  // namespace

std::shared_ptr<BatchAllocator> make_pinned_allocator(ObjectRef allocate,
                                                      std::shared_ptr<Signals> signals) {
  return std::make_shared<PinnedAllocator>(std::move(allocate), std::move(signals));
}

}  // namespace ringfeed::python
