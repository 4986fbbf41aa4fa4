#include "pack/erase.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "augment/noise.h"
#include "pack/kernels.h"
#include "pack/packer.h"

namespace ringfeed::pack {
namespace {

struct Float32 {
  using T = float;
  static T round(float value) { return value; }
  static void round_all(std::span<const float> from, T* to) { std::ranges::copy(from, to); }
};
struct Float16 {
  using T = std::uint16_t;
  static T round(float value) { return to_float16(value); }
  static void round_all(std::span<const float> from, T* to) {
    pack_kernels().round_float16(from.data(), from.size(), to);
  }
};
struct Bfloat16 {
  using T = std::uint16_t;
  static T round(float value) { return to_bfloat16(value); }
  static void round_all(std::span<const float> from, T* to) {
    pack_kernels().round_bfloat16(from.data(), from.size(), to);
  }
};

/// The noise of a box, value by value.
template <class Out>
class Noise {
 public:
  using T = typename Out::T;

  Noise(std::uint64_t key, std::uint32_t box) noexcept : key_(key), box_(box) {}

  /// The next values, at least one and `most` at most.
  std::span<const T> next(std::size_t most) noexcept {
    if (left_.empty()) {
      std::array<float, size> drawn;  // NOLINT(cppcoreguidelines-pro-type-member-init): is written
      augment::draw_noise(key_, box_, group_, drawn);
      group_ += static_cast<std::uint32_t>(size / augment::noise_group);
      Out::round_all(drawn, values_.data());
      left_ = values_;
    }
    const auto given = left_.first(std::min(most, left_.size()));
    left_ = left_.subspan(given.size());
    return given;
  }

 private:
  static constexpr std::size_t size = 4 * augment::noise_group;

  std::uint64_t key_;
  std::uint32_t box_;
  std::uint32_t group_ = 0;
  std::array<T, size> values_;
  std::span<const T> left_;
};

/// Of a sample's tensor.
struct Form {
  Layout layout;
  std::size_t height, width;
};

/// Calls `run` with the first element of each of the box's rows, channel by channel, and with the
/// distance between a row's elements.
template <class T, class Run>
void for_each_row(const Form& form, const Box& box, T* out, Run run) {
  const auto left = static_cast<std::size_t>(box.left);
  for (std::size_t c = 0; c < 3; ++c) {
    for (int y = box.top; y < box.top + box.height; ++y) {
      const auto row = static_cast<std::size_t>(y);
      if (form.layout == Layout::nchw) {
        run(c, out + (c * form.height + row) * form.width + left, std::size_t{1});
      } else {
        run(c, out + 3 * (row * form.width + left) + c, std::size_t{3});
      }
    }
  }
}

template <class T>
void fill(const Form& form, const Box& box, const std::array<T, 3>& value, T* out) {
  const auto count = static_cast<std::size_t>(box.width);
  for_each_row(form, box, out, [&](std::size_t c, T* row, std::size_t step) {
    for (std::size_t x = 0; x < count; ++x) row[x * step] = value[c];
  });
}

template <class Out>
void fill(const Form& form, const Box& box, Noise<Out>& noise, typename Out::T* out) {
  for_each_row(form, box, out, [&](std::size_t, typename Out::T* row, std::size_t step) {
    for (auto left = static_cast<std::size_t>(box.width); left > 0;) {
      const auto values = noise.next(left);
      for (std::size_t i = 0; i < values.size(); ++i) row[i * step] = values[i];
      row += values.size() * step;
      left -= values.size();
    }
  });
}

template <class Out>
void erase_as(const TransformPlan& plan, std::span<const Box> boxes, std::uint64_t noise_key,
              std::byte* out) {
  using T = typename Out::T;
  const RandomErasing& erasing = *plan.erasing;
  const Form form{plan.layout, static_cast<std::size_t>(plan.out_height()),
                  static_cast<std::size_t>(plan.out_width())};
  T* const to = reinterpret_cast<T*>(out);
  std::uint32_t number = 0;
  for (const Box& box : boxes) {
    Noise<Out> noise(noise_key, number++);
    switch (erasing.fill) {
      case RandomErasing::Fill::value: {
        const auto& value = erasing.value;
        fill<T>(form, box, {Out::round(value[0]), Out::round(value[1]), Out::round(value[2])}, to);
        break;
      }
      case RandomErasing::Fill::noise: fill(form, box, noise, to); break;
      case RandomErasing::Fill::channel_noise: {
        const auto first = noise.next(3);
        fill<T>(form, box, {first[0], first[1], first[2]}, to);
        break;
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
