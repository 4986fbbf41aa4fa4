#include "augment/affine.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "augment/affine_job.h"

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

void affine(const Operation& operation, const Canvas& from, Canvas& to, std::uint8_t* scratch) {
  const AffineJob job(operation, from, to, scratch);
  if (operation.interpolation == Interpolation::nearest) {
    affine_nearest(job);
  } else {
    affine_filter(job, operation.interpolation);
  }
}

std::size_t affine_scratch(int height, int width) noexcept {
  return AffineScratch::bytes(height, width);
}

}  // namespace ringfeed::augment
