#include "pack/erase.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

#include "pack/packer.h"

namespace ringfeed::pack {
namespace {

template <class T>
void fill(const TransformPlan& plan, const Box& box, const std::array<T, 3>& value, T* out) {
  const auto height = static_cast<std::size_t>(plan.out_height());
  const auto width = static_cast<std::size_t>(plan.out_width());
  const auto left = static_cast<std::size_t>(box.left);
  const auto count = static_cast<std::size_t>(box.width);
  for (int y = box.top; y < box.top + box.height; ++y) {
    const auto row = static_cast<std::size_t>(y);
    if (plan.layout == Layout::nchw) {
      for (std::size_t c = 0; c < 3; ++c) {
        std::fill_n(out + (c * height + row) * width + left, count, value[c]);
      }
    } else {
      T* to = out + 3 * (row * width + left);
      for (std::size_t i = 0; i < 3 * count; ++i) to[i] = value[i % 3];
    }
  }
}

}  // namespace

void erase(const TransformPlan& plan, const Box& box, std::byte* out) {
  const std::array<float, 3>& value = plan.erasing->value;
  const auto halves = [&](auto convert) {
    return std::array{convert(value[0]), convert(value[1]), convert(value[2])};
  };
  switch (plan.dtype) {
    case DType::float32: return fill(plan, box, value, reinterpret_cast<float*>(out));
    case DType::float16:
      return fill(plan, box, halves(to_float16), reinterpret_cast<std::uint16_t*>(out));
    case DType::bfloat16:
      return fill(plan, box, halves(to_bfloat16), reinterpret_cast<std::uint16_t*>(out));
    case DType::uint8: return;  // no plan that is valid
  }
}

}  // namespace ringfeed::pack
