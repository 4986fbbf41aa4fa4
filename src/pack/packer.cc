#include "pack/packer.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/planar.h"
#include "pack/kernels.h"

namespace ringfeed::pack {
namespace {

float reference_value(const Normalize& normalize, std::size_t channel, int value) {
  auto x = static_cast<float>(value);
  switch (normalize.flavour) {
    case Normalize::Flavour::none: return x;
    case Normalize::Flavour::to_tensor: x = x / 255.0f; break;
    case Normalize::Flavour::to_dtype: x = x * static_cast<float>(1.0 / 255); break;
  }
  x = x - normalize.mean[channel];
  return x / normalize.std[channel];
}

PackConstants constants(const Normalize& normalize, std::size_t channel) {
  const auto high = static_cast<float>(1.0 / 255);
  const bool divides = normalize.flavour == Normalize::Flavour::to_tensor;
  const double inverse = 1.0 / static_cast<double>(normalize.std[channel]);
  const auto inverse_high = static_cast<float>(inverse);
  return {.scale_high = high,
          .scale_low = divides ? static_cast<float>(1.0 / 255 - static_cast<double>(high)) : 0.0f,
          .mean = normalize.mean[channel],
          .inverse_high = inverse_high,
          .inverse_low = static_cast<float>(inverse - static_cast<double>(inverse_high))};
}

PackKernels::Convert choose(const PackKernels& kernels, DType dtype, bool interleaved) {
  switch (dtype) {
    case DType::float32: return interleaved ? kernels.interleaved_float32 : kernels.plane_float32;
    case DType::float16: return interleaved ? kernels.interleaved_float16 : kernels.plane_float16;
    case DType::bfloat16:
      return interleaved ? kernels.interleaved_bfloat16 : kernels.plane_bfloat16;
    case DType::uint8: return nullptr;
  }
  return nullptr;
}

}  // namespace

std::uint16_t to_bfloat16(float value) noexcept {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return 0x7FC0;
  return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

std::uint16_t to_float16(float value) noexcept {
  const auto sign = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16 & 0x8000);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00);
  if (magnitude >= 65520.0f) return static_cast<std::uint16_t>(sign | 0x7C00);
  // Below 2^-14 halves are multiples of 2^-24: nearbyint rounds to even, and a carry into the
  // exponent is the smallest normal half.
  if (magnitude < 0x1p-14f) {
    return static_cast<std::uint16_t>(sign | static_cast<int>(std::nearbyint(magnitude * 0x1p24f)));
  }
  const auto bits = std::bit_cast<std::uint32_t>(magnitude);
  const std::uint32_t rounded = bits + 0xFFF + ((bits >> 13) & 1);
  return static_cast<std::uint16_t>(sign | ((rounded >> 13) - ((127u - 15u) << 10)));
}

TransformPlan before_packing(const TransformPlan& plan) {
  TransformPlan part = plan;
  part.normalize = {.flavour = Normalize::Flavour::none, .mean = {0, 0, 0}, .std = {1, 1, 1}};
  part.erasing.reset();
  part.dtype = DType::uint8;
  return part;
}

std::vector<std::uint32_t> reference_table(const TransformPlan& plan) {
  std::vector<std::uint32_t> table;
  table.reserve(3 * 256);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (int value = 0; value < 256; ++value) {
      const float x = reference_value(plan.normalize, channel, value);
      switch (plan.dtype) {
        case DType::float32: table.push_back(std::bit_cast<std::uint32_t>(x)); break;
        case DType::float16: table.push_back(to_float16(x)); break;
        case DType::bfloat16: table.push_back(to_bfloat16(x)); break;
        case DType::uint8: table.push_back(static_cast<std::uint32_t>(value)); break;
      }
    }
  }
  return table;
}

struct Packer::Impl {
  explicit Impl(const TransformPlan& plan)
      : dtype(plan.dtype),
        channels_last(plan.layout == Layout::channels_last),
        height(static_cast<std::size_t>(plan.out_height())),
        width(static_cast<std::size_t>(plan.out_width())),
        stride(plane_stride(plan.out_width())),
        interleave(pack_kernels().interleave),
        table(reference_table(plan)) {
    if (channels_last) triples.resize(3 * (width + kernel_slack));
    for (std::size_t c = 0; c < 3; ++c) channels[c] = constants(plan.normalize, c);
    const auto plane = choose(pack_kernels(), dtype, false);
    if (plan.normalize.flavour != Normalize::Flavour::none && plane != nullptr &&
        formula_equals_table(plane)) {
      convert = choose(pack_kernels(), dtype, channels_last);
    }
  }

  bool formula_equals_table(PackKernels::Convert plane) const {
    std::array<std::uint8_t, 256 + kernel_slack> values{};
    for (std::size_t i = 0; i < 256; ++i) values[i] = static_cast<std::uint8_t>(i);
    const std::size_t size = item_size(dtype);
    for (std::size_t c = 0; c < 3; ++c) {
      std::array<std::byte, 256 * 4> got{};
      plane(values.data(), 256, &channels[c], got.data());
      for (std::size_t i = 0; i < 256; ++i) {
        // Little-endian, as every supported target: a 16-bit value is the word's first half.
        if (std::memcmp(got.data() + i * size, &table[c * 256 + i], size) != 0) return false;
      }
    }
    return true;
  }

  template <class T>
  void look_up(const std::uint8_t* values, std::size_t channel, std::size_t step, T* out) const {
    const std::uint32_t* entry = table.data() + channel * 256;
    for (std::size_t x = 0; x < width; ++x) out[x * step] = static_cast<T>(entry[values[x]]);
  }

  /// One channel of a row: `out` is its first element and `step` elements lie between pixels.
  void look_up_row(const std::uint8_t* planar, std::size_t channel, std::size_t step,
                   std::byte* out) const {
    const std::uint8_t* values = planar + channel * stride;
    if (item_size(dtype) == 4) {
      look_up(values, channel, step, reinterpret_cast<std::uint32_t*>(out));
    } else {
      look_up(values, channel, step, reinterpret_cast<std::uint16_t*>(out));
    }
  }

  void planes_row(const std::uint8_t* planar, std::size_t y, std::byte* out) const {
    const std::size_t size = item_size(dtype);
    for (std::size_t c = 0; c < 3; ++c) {
      std::byte* to = out + (c * height + y) * width * size;
      if (dtype == DType::uint8) {
        std::memcpy(to, planar + c * stride, width);
      } else if (convert != nullptr) {
        convert(planar + c * stride, width, &channels[c], to);
      } else {
        look_up_row(planar, c, 1, to);
      }
    }
  }

  void channels_last_row(const std::uint8_t* planar, std::size_t y, std::byte* out) {
    const std::size_t size = item_size(dtype);
    std::byte* to = out + y * width * 3 * size;
    if (dtype == DType::uint8 || convert != nullptr) {
      interleave(planar, stride, static_cast<int>(width), triples.data());
      if (dtype == DType::uint8) {
        std::memcpy(to, triples.data(), 3 * width);
      } else {
        convert(triples.data(), 3 * width, channels.data(), to);
      }
    } else {
      for (std::size_t c = 0; c < 3; ++c) look_up_row(planar, c, 3, to + c * size);
    }
  }

  DType dtype;
  bool channels_last;
  std::size_t height, width, stride;
  void (*interleave)(const std::uint8_t*, std::size_t, int, std::uint8_t*);
  PackKernels::Convert convert = nullptr;
  std::array<PackConstants, 3> channels{};
  std::vector<std::uint32_t> table;
  std::vector<std::uint8_t> triples;
};

Packer::Packer(const TransformPlan& plan) : impl_(std::make_unique<Impl>(plan)) {}
Packer::~Packer() = default;

void Packer::row(const std::uint8_t* planar, int y, std::byte* out) {
  const auto at = static_cast<std::size_t>(y);
  if (impl_->channels_last) {
    impl_->channels_last_row(planar, at, out);
  } else {
    impl_->planes_row(planar, at, out);
  }
}

void Packer::finish() noexcept { flush_stores(); }

bool Packer::uses_formula() const noexcept { return impl_->convert != nullptr; }

std::size_t Packer::memory_bound(const TransformPlan& plan) noexcept {
  const std::size_t table = 3 * 256 * sizeof(std::uint32_t);
  const std::size_t triples = 3 * (static_cast<std::size_t>(plan.out_width()) + kernel_slack);
  const std::size_t rounding = 3 * 16;  // by the heap
  return sizeof(Impl) + table + (plan.layout == Layout::channels_last ? triples : 0) + rounding;
}

}  // namespace ringfeed::pack
