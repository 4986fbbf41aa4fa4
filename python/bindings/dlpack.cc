#include "dlpack.h"

#include <nanobind/ndarray.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <utility>

namespace ringfeed::python {
namespace {

namespace nb = nanobind;

/// DLPack's struct of that name before version 1.0, which every consumer of a 'dltensor' takes.
struct ManagedTensor {
  nb::dlpack::dltensor tensor;
  void* context;
  void (*deleter)(ManagedTensor*);
};

constexpr const char* unconsumed = "dltensor";

std::atomic<std::size_t> held_count{0};
std::atomic<std::size_t> held_size{0};

struct Exported {
  ManagedTensor managed{};
  std::array<std::int64_t, 4> shape{};
  std::array<std::int64_t, 4> strides{};
  std::shared_ptr<void> owner;
};

/// A batch's memory, counted as held.
class Held {
 public:
  explicit Held(BatchMemory memory) : memory_(std::move(memory)) {
    held_count.fetch_add(1, std::memory_order_relaxed);
    held_size.fetch_add(memory_.bytes, std::memory_order_relaxed);
  }
  ~Held() {
    held_count.fetch_sub(1, std::memory_order_relaxed);
    held_size.fetch_sub(memory_.bytes, std::memory_order_relaxed);
  }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  BatchMemory memory_;
};

void release(ManagedTensor* managed) noexcept { delete static_cast<Exported*>(managed->context); }

void release_unconsumed(PyObject* capsule) noexcept {
  if (!PyCapsule_IsValid(capsule, unconsumed)) return;  // its consumer has renamed it
  release(static_cast<ManagedTensor*>(PyCapsule_GetPointer(capsule, unconsumed)));
}

nb::object make_capsule(std::unique_ptr<Exported> exported, void* data, int dimensions,
                        nb::dlpack::dtype dtype) {
  nb::dlpack::dltensor& tensor = exported->managed.tensor;
  tensor.data = data;
  tensor.device = {nb::device::cpu::value, 0};
  tensor.ndim = dimensions;
  tensor.dtype = dtype;
  tensor.shape = exported->shape.data();
  tensor.strides = exported->strides.data();
  exported->managed.context = exported.get();
  exported->managed.deleter = release;
  PyObject* capsule = PyCapsule_New(&exported->managed, unconsumed, release_unconsumed);
  if (capsule == nullptr) throw nb::python_error();
  static_cast<void>(exported.release());  // the capsule's now
  return nb::steal(capsule);
}

nb::dlpack::dtype code(DType dtype) noexcept {
  const auto bits = static_cast<std::uint8_t>(item_size(dtype) * 8);
  switch (dtype) {
    case DType::uint8: return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::UInt), bits, 1};
    case DType::bfloat16:
      return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Bfloat), bits, 1};
    case DType::float32:
    case DType::float16: break;
  }
  return {static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float), bits, 1};
}

}  // namespace

nb::list images_capsules(Batch& batch) {
  std::byte* const data = batch.memory.data;
  const auto held = std::make_shared<Held>(std::exchange(batch.memory, {}));
  nb::list capsules;
  for (const BatchView& view : batch.views) {
    auto exported = std::make_unique<Exported>();
    const std::int64_t height = view.height, width = view.width;
    exported->shape = {static_cast<std::int64_t>(batch.size()), 3, height, width};
    if (view.layout == Layout::nchw) {
      exported->strides = {3 * height * width, height * width, width, 1};
    } else {
      exported->strides = {3 * height * width, 1, 3 * width, 3};
    }
    exported->owner = held;
    capsules.append(make_capsule(std::move(exported), data + view.offset, 4, code(view.dtype)));
  }
  return capsules;
}

nb::object labels_capsule(std::vector<std::int64_t>&& labels) {
  auto exported = std::make_unique<Exported>();
  exported->shape[0] = static_cast<std::int64_t>(labels.size());
  exported->strides[0] = 1;
  auto owner = std::make_shared<std::vector<std::int64_t>>(std::move(labels));
  void* data = owner->data();
  exported->owner = std::move(owner);
  return make_capsule(std::move(exported), data, 1, nb::dtype<std::int64_t>());
}

nb::object pixels_capsule(RgbPixels pixels) {
  auto exported = std::make_unique<Exported>();
  const std::int64_t height = pixels.height, width = pixels.width;
  exported->shape = {height, width, 3};
  exported->strides = {3 * width, 3, 1};
  exported->owner = std::shared_ptr<std::uint8_t[]>(std::move(pixels.rgb));
  void* data = exported->owner.get();
  return make_capsule(std::move(exported), data, 3, nb::dtype<std::uint8_t>());
}

std::pair<std::size_t, std::size_t> held_images() noexcept {
  return {held_count.load(std::memory_order_relaxed), held_size.load(std::memory_order_relaxed)};
}

}  // namespace ringfeed::python
