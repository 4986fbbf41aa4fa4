#include "pack/erase.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "augment/noise.h"
#include "pack/packer.h"

namespace ringfeed::pack {
namespace {

/// The noise of a box, value by value.
class Noise {
 public:
  Noise(std::uint64_t key, std::uint32_t box) noexcept : key_(key), box_(box) {}

  /// The next values, at least one and `most` at most.
  std::span<const float> next(std::size_t most) noexcept {
    if (left_.empty()) {
      augment::draw_noise(key_, box_, group_, values_);
      group_ += static_cast<std::uint32_t>(values_.size() / augment::noise_group);
      left_ = values_;
    }
    const auto given = left_.first(std::min(most, left_.size()));
    left_ = left_.subspan(given.size());
    return given;
  }

 private:
  std::uint64_t key_;
  std::uint32_t box_;
  std::uint32_t group_ = 0;
  std::array<float, 4 * augment::noise_group> values_;
  std::span<const float> left_;
};

struct Float32 {
  using T = float;
  static T round(float value) { return value; }
};
struct Float16 {
  using T = std::uint16_t;
  static T round(float value) { return to_float16(value); }
};
struct Bfloat16 {
  using T = std::uint16_t;
  static T round(float value) { return to_bfloat16(value); }
};

/// Calls `run` with the first element of each of the box's rows, channel by channel, and with the
/// distance between a row's elements.
template <class T, class Run>
void for_each_row(const TransformPlan& plan, const Box& box, T* out, Run run) {
  const auto height = static_cast<std::size_t>(plan.out_height());
  const auto width = static_cast<std::size_t>(plan.out_width());
  const auto left = static_cast<std::size_t>(box.left);
  for (std::size_t c = 0; c < 3; ++c) {
    for (int y = box.top; y < box.top + box.height; ++y) {
      const auto row = static_cast<std::size_t>(y);
      if (plan.layout == Layout::nchw) {
        run(c, out + (c * height + row) * width + left, std::size_t{1});
      } else {
        run(c, out + 3 * (row * width + left) + c, std::size_t{3});
      }
    }
  }
}

template <class Out>
void fill(const TransformPlan& plan, const Box& box, const std::array<float, 3>& value,
          std::byte* out) {
  using T = typename Out::T;
  const auto count = static_cast<std::size_t>(box.width);
  const std::array<T, 3> rounded{Out::round(value[0]), Out::round(value[1]), Out::round(value[2])};
  for_each_row(plan, box, reinterpret_cast<T*>(out), [&](std::size_t c, T* row, std::size_t step) {
    for (std::size_t x = 0; x < count; ++x) row[x * step] = rounded[c];
  });
}

template <class Out>
void fill(const TransformPlan& plan, const Box& box, Noise noise, std::byte* out) {
  using T = typename Out::T;
  for_each_row(plan, box, reinterpret_cast<T*>(out), [&](std::size_t, T* row, std::size_t step) {
    for (auto left = static_cast<std::size_t>(box.width); left > 0;) {
      const std::span<const float> values = noise.next(left);
      for (std::size_t i = 0; i < values.size(); ++i) {
        row[i * step] = Out::round(values[i]);
      }
      row += values.size() * step;
      left -= values.size();
    }
  });
}

template <class Out>
void erase_as(const TransformPlan& plan, std::span<const Box> boxes, std::uint64_t noise_key,
              std::byte* out) {
  const RandomErasing& erasing = *plan.erasing;
  std::uint32_t number = 0;
  for (const Box& box : boxes) {
    Noise noise(noise_key, number++);
    switch (erasing.fill) {
      case RandomErasing::Fill::value: fill<Out>(plan, box, erasing.value, out); break;
      case RandomErasing::Fill::noise: fill<Out>(plan, box, noise, out); break;
      case RandomErasing::Fill::channel_noise: {
        const std::span<const float> first = noise.next(3);
        fill<Out>(plan, box, std::array{first[0], first[1], first[2]}, out);
      }
    }
  }
}

}  // namespace

void erase(const TransformPlan& plan, std::span<const Box> boxes, std::uint64_t noise_key,
           std::byte* out) {
  switch (plan.dtype) {
    case DType::float32: return erase_as<Float32>(plan, boxes, noise_key, out);
    case DType::float16: return erase_as<Float16>(plan, boxes, noise_key, out);
    case DType::bfloat16: return erase_as<Bfloat16>(plan, boxes, noise_key, out);
    case DType::uint8: return;  // no plan that is valid
  }
}

}  // namespace ringfeed::pack
