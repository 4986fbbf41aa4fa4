#include "torch/tensors.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace ringfeed {
namespace {

/// Deleter of the memory that torch allocated: std::get_deleter finds the tensor by it.
struct TensorOwner {
  at::Tensor tensor;
  void operator()(void*) noexcept { tensor.reset(); }
};

class TensorAllocator final : public BatchAllocator {
 public:
  explicit TensorAllocator(bool pinned) : pinned_(pinned) {}

  BatchMemory allocate(std::size_t bytes) override {
    at::Tensor tensor = at::empty({static_cast<std::int64_t>(bytes)},
                                  at::TensorOptions(at::kByte).pinned_memory(pinned_));
    auto* const data = static_cast<std::byte*>(tensor.data_ptr());
    return {data, bytes, std::shared_ptr<void>(data, TensorOwner{std::move(tensor)})};
  }
  // What torch's CachingHostAllocator rounds to.
  std::size_t footprint(std::size_t bytes) const noexcept override {
    return pinned_ ? std::bit_ceil(bytes) : bytes;
  }

 private:
  const bool pinned_;
};

}  // namespace

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::float32: return at::kFloat;
    case DType::float16: return at::kHalf;
    case DType::bfloat16: return at::kBFloat16;
    case DType::uint8: break;
  }
  return at::kByte;
}

std::shared_ptr<BatchAllocator> make_tensor_allocator(bool pinned) {
  return std::make_shared<TensorAllocator>(pinned);
}

bool is_torchs(const Batch& batch) noexcept {
  return std::get_deleter<TensorOwner>(batch.memory.owner) != nullptr;
}

bool is_page_locked(const Batch& batch) noexcept {
  const auto* const images = std::get_deleter<TensorOwner>(batch.memory.owner);
  return images != nullptr && images->tensor.is_pinned();
}

std::vector<at::Tensor> take_images(Batch& batch) {
  const BatchMemory memory = std::exchange(batch.memory, {});
  const auto* const from = std::get_deleter<TensorOwner>(memory.owner);
  std::vector<at::Tensor> images;
  images.reserve(batch.views.size());
  for (const BatchView& view : batch.views) {
    const std::int64_t height = view.height, width = view.width;
    const std::array<std::int64_t, 4> sizes{static_cast<std::int64_t>(batch.size()), 3, height,
                                            width};
    const std::int64_t sample = 3 * height * width;
    const auto strides = view.layout == Layout::channels_last
                             ? std::array<std::int64_t, 4>{sample, 1, 3 * width, 3}
                             : std::array<std::int64_t, 4>{sample, height * width, width, 1};
    const at::TensorOptions options(scalar_type(view.dtype));
    if (from != nullptr) {
      const auto offset = static_cast<std::int64_t>(view.offset / item_size(view.dtype));
      images.push_back(
          at::empty({0}, options).set_(from->tensor.storage(), offset, sizes, strides));
    } else {
      images.push_back(at::from_blob(
          memory.data + view.offset, sizes, strides,
          [owner = memory.owner](void*) mutable { owner.reset(); }, options));
    }
  }
  return images;
}

at::Tensor copy_labels(const Batch& batch) {
  at::Tensor labels = at::empty({static_cast<std::int64_t>(batch.size())},
                                at::TensorOptions(at::kLong).pinned_memory(is_page_locked(batch)));
  std::copy(batch.labels.begin(), batch.labels.end(), labels.mutable_data_ptr<std::int64_t>());
  return labels;
}

}  // namespace ringfeed
