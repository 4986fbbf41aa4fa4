#include "augment/change_size.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "augment/interleave.h"
#include "base/planar.h"
#include "base/scratch.h"
#include "decode/row_sink.h"

namespace ringfeed::augment {
namespace {

constexpr int nowhere = -1;

/// The pixel of a line of `size` that stands at `at`, which may be beyond its ends.
int pixel_at(int at, int size, PaddingMode mode) {
  if (at >= 0 && at < size) return at;
  // As NumPy repeats mirrored pieces; of a line of one pixel there is nothing to leave out.
  const auto within = [&](int period) { return ((at % period) + period) % period; };
  switch (mode) {
    case PaddingMode::constant: return nowhere;
    case PaddingMode::edge: return std::clamp(at, 0, size - 1);
    case PaddingMode::reflect: {
      if (size == 1) return 0;
      const int place = within(2 * (size - 1));
      return std::min(place, 2 * (size - 1) - place);
    }
    case PaddingMode::symmetric: {
      const int place = within(2 * size);
      return std::min(place, 2 * size - 1 - place);
    }
  }
  return nowhere;
}

}  // namespace

void crop(const Operation& operation, const Canvas& from, Canvas& to) {
  const auto number = [&](std::size_t i) { return static_cast<int>(operation.values[i]); };
  const int top = number(0), left = number(1), height = number(2), width = number(3);
  const auto mode = static_cast<PaddingMode>(number(4));
  to.reshape(height, width);
  // Columns [begin, end) of the window lie within the image.
  const int begin = std::clamp(-left, 0, width);
  const int end = std::clamp(from.width() - left, begin, width);
  for (int y = 0; y < height; ++y) {
    const int line = pixel_at(top + y, from.height(), mode);
    for (std::size_t channel = 0; channel < 3; ++channel) {
      const std::uint8_t fill = operation.fill[channel];
      std::uint8_t* const out = to.row(y) + channel * plane_stride(width);
      if (line == nowhere) {
        std::memset(out, fill, static_cast<std::size_t>(width));
        continue;
      }
      const std::uint8_t* const in = from.row(line) + channel * plane_stride(from.width());
      const auto outside = [&](int x) {
        const int column = pixel_at(left + x, from.width(), mode);
        out[x] = column == nowhere ? fill : in[column];
      };
      for (int x = 0; x < begin; ++x) outside(x);
      if (end > begin)
        std::memcpy(out + begin, in + left + begin, static_cast<std::size_t>(end - begin));
      for (int x = end; x < width; ++x) outside(x);
    }
  }
}

resize::Geometry whole_resize(const Operation& operation, Size from) noexcept {
  const int height = static_cast<int>(operation.values[0]);
  const int width = static_cast<int>(operation.values[1]);
  return {.height = from.height,
          .width = from.width,
          .resized_height = height,
          .resized_width = width,
          .out_height = height,
          .out_width = width,
          .interpolation = operation.interpolation};
}

std::size_t resize_scratch(int width) noexcept {
  return static_cast<std::size_t>(width) * 3 + decode::row_slack;
}

void resize_canvas(const Operation& operation, const Canvas& from, Canvas& to,
                   resize::Resampler& resampler, AlignedVector<std::uint8_t>& row) {
  const resize::Geometry geometry = whole_resize(operation, {from.height(), from.width()});
  to.reshape(geometry.out_height, geometry.out_width);
  int next = 0;
  const auto take_rows = [&] {
    while (const std::uint8_t* planar = resampler.next_row()) to.set_row(next++, planar);
  };
  const decode::Region region = resampler.begin(geometry);
  make_room(row, resize_scratch(region.width));
  take_rows();
  for (int y = 0; y < region.height; ++y) {
    get_rgb_row(from, region.top + y, region.left, region.width, row.data());
    resampler.push_row(row.data());
    take_rows();
  }
}

}  // namespace ringfeed::augment
