#include "augment/affine.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <utility>

#include "augment/affine_job.h"
#include "augment/affine_pixel.h"

namespace ringfeed::augment {
namespace {

constexpr std::size_t alignment = 64;

std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) & ~(alignment - 1); }

std::size_t column_bytes(int width) {
  return aligned(static_cast<std::size_t>(width) * sizeof(std::uint32_t));
}

/// Of the RGBX copy and its borders.
std::size_t pixel_count(int height, int width) {
  return (static_cast<std::size_t>(height) + 2 * affine_border) *
         (static_cast<std::size_t>(width) + 2 * affine_border);
}

/// How far the kernels' float sums, and places wrong by two units, are from the results in double:
/// at most, by the steepest slopes of 255 (bilinear) and 600 (bicubic) a pixel in both directions
/// and by the roundings of weights and sums, half of this.
float margin(bool linear, int shift) {
  return linear ? 0x1p-12f + std::ldexp(2048.0f, -shift) : 0x1p-10f + std::ldexp(4800.0f, -shift);
}

/// The pixel in double. Its place is inside, or NaN, which gives 0 as in Pillow on x86.
void exact_pixel(const AffineJob& job, bool linear, int x, int y) {
  auto [x_in, y_in] = job.place(x, y);
  x_in -= 0.5;
  y_in -= 0.5;
  const bool number = !std::isnan(x_in) && !std::isnan(y_in);
  const double column = number ? std::floor(x_in) : 0;
  const double line = number ? std::floor(y_in) : 0;
  const auto* pixel = reinterpret_cast<const std::uint8_t*>(
      job.scratch.pixel(static_cast<int>(column), static_cast<int>(line)));
  const auto pitch = static_cast<std::ptrdiff_t>(job.scratch.pitch * sizeof(std::uint32_t));
  std::uint8_t* out = job.to.row(y) + x;
  for (std::size_t channel = 0; channel < 3; ++channel, ++pixel) {
    out[channel * job.row.stride] = linear ? bilinear(pixel, pitch, x_in - column, y_in - line)
                                           : bicubic(pixel, pitch, x_in - column, y_in - line);
  }
}

}  // namespace

AffineScratch::AffineScratch(int height, int width, std::uint8_t* memory)
    : pitch(static_cast<std::size_t>(width) + 2 * affine_border) {
  memory += -reinterpret_cast<std::uintptr_t>(memory) % alignment;
  const auto take = [&](std::size_t size) { return std::exchange(memory, memory + size); };
  column_x = reinterpret_cast<std::uint32_t*>(take(column_bytes(width)));
  column_y = reinterpret_cast<std::uint32_t*>(take(column_bytes(width)));
  doubtful = reinterpret_cast<std::int32_t*>(take(column_bytes(width)));
  pixels = reinterpret_cast<std::uint32_t*>(memory);
  outside = pixels + pixel_count(height, width);
}

std::size_t AffineScratch::bytes(int height, int width) noexcept {
  return alignment + 3 * column_bytes(width) +
         (pixel_count(height, width) + interleave_slack) * sizeof(std::uint32_t);
}

AffineJob::AffineJob(const Operation& operation, const Canvas& source, Canvas& target,
                     std::uint8_t* memory)
    : a(operation.values[0]),
      b(operation.values[1]),
      c(operation.values[2]),
      d(operation.values[3]),
      e(operation.values[4]),
      f(operation.values[5]),
      g(operation.kind == OperationKind::perspective ? operation.values[6] : 0),
      h(operation.kind == OperationKind::perspective ? operation.values[7] : 0),
      fill(operation.fill),
      from(source),
      to(target),
      height(source.height()),
      width(source.width()),
      scratch(height, width, memory),
      kernels(affine_kernels()) {
  row.pitch = static_cast<std::uint32_t>(scratch.pitch);
  row.column_x = scratch.column_x;
  row.column_y = scratch.column_y;
  row.stride = plane_stride(width);
}

void AffineJob::copy_source() const {
  // From the top down: the kernel writes beyond a row's end.
  for (int y = 0; y < height; ++y) {
    std::uint32_t* pixels = scratch.pixel(0, y);
    kernels.interleave(from.row(y), row.stride, width, pixels);
    std::fill_n(pixels - affine_border, affine_border, pixels[0]);
    std::fill_n(pixels + width, affine_border, pixels[width - 1]);
  }
  const auto repeat = [&](int y, int of) {
    std::copy_n(scratch.pixel(-affine_border, of), scratch.pitch, scratch.pixel(-affine_border, y));
  };
  for (int i = 1; i <= affine_border; ++i) {
    repeat(-i, 0);
    repeat(height - 1 + i, height - 1);
  }
  *scratch.outside = fill[0] | std::uint32_t{fill[1]} << 8 | std::uint32_t{fill[2]} << 16;
}

void AffineJob::fill_row(int y, int begin, int end) const {
  for (std::size_t channel = 0; channel < 3; ++channel) {
    std::memset(to.row(y) + channel * row.stride + begin, fill[channel],
                static_cast<std::size_t>(end - begin));
  }
}

void AffineJob::run_row(int y, std::int64_t left, std::int64_t line) const {
  const bool inside = line >= 0 && line < height && left < width && left > -width;
  const int begin = inside ? static_cast<int>(std::max<std::int64_t>(-left, 0)) : width;
  const int end = inside ? static_cast<int>(std::min<std::int64_t>(width - left, width)) : width;
  fill_row(y, 0, begin);
  fill_row(y, end, width);
  if (!inside) return;
  const std::uint8_t* source = from.row(static_cast<int>(line)) + left;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    std::memcpy(to.row(y) + channel * row.stride + begin, source + channel * row.stride + begin,
                static_cast<std::size_t>(end - begin));
  }
}

Place AffineJob::place(int x, int y) const {
  const double column = x + 0.5;
  const double line = y + 0.5;
  const double depth = g * column + h * line + 1;
  return {(a * column + b * line + c) / depth, (d * column + e * line + f) / depth};
}

bool AffineJob::fits_fixed_point() const { return std::max(width, height) <= 8192; }

void AffineJob::prepare_filter(bool linear) {
  row.pixels = scratch.pixels;
  row.outside = static_cast<std::uint32_t>(scratch.outside - row.pixels);
  // A float holds 24 bits of fraction exactly.
  const int size = std::max(width, height) + 2 * affine_border;
  row.shift = std::min(24, std::countl_zero(static_cast<std::uint32_t>(size)));
  // With its borders.
  row.limit_x = static_cast<std::uint32_t>(width + 2 * affine_border);
  row.limit_y = static_cast<std::uint32_t>(height + 2 * affine_border);
  row.margin = margin(linear, row.shift);
}

void AffineJob::filter_pixels(bool linear, int y, int begin, int end) const {
  const auto kernel = linear ? kernels.bilinear : kernels.bicubic;
  const int doubtful = kernel(row, begin, end, to.row(y), scratch.doubtful);
  for (int i = 0; i < doubtful; ++i) exact_pixel(*this, linear, scratch.doubtful[i], y);
}

void AffineJob::exact_row(bool linear, int y) const {
  for (int x = 0; x < width; ++x) {
    const auto [x_in, y_in] = place(x, y);
    if (x_in < 0 || x_in >= width || y_in < 0 || y_in >= height) {
      fill_row(y, x, x + 1);
    } else {
      exact_pixel(*this, linear, x, y);
    }
  }
}

void affine(const Operation& operation, const Canvas& from, Canvas& to, std::uint8_t* scratch) {
  const AffineJob job(operation, from, to, scratch);
  if (operation.kind == OperationKind::perspective) {
    perspective(job, operation.interpolation);
  } else if (operation.interpolation == Interpolation::nearest) {
    affine_nearest(job);
  } else {
    affine_filter(job, operation.interpolation);
  }
}

std::size_t affine_scratch(int height, int width) noexcept {
  return AffineScratch::bytes(height, width);
}

}  // namespace ringfeed::augment
