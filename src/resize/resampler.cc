#include "resize/resampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <variant>

#include "base/aligned_vector.h"
#include "base/planar.h"
#include "decode/max_side.h"
#include "resize/coefficients.h"
#include "resize/kernels.h"
#include "resize/tables.h"

namespace ringfeed::resize {
namespace {

/// The order of Pillow's two passes. From 13 on Resample.c compares what each pass saves. Before,
/// it was always horizontal first, but Image.resize of 12.2 and 12.3 turns it round for images more
/// than 100 times as tall as wide, which `before_13` follows.
bool runs_vertical_first(const Geometry& g, PillowRule rule) {
  const int shrink_rows = g.height - g.resized_height;
  const int shrink_columns = g.width - g.resized_width;
  if (shrink_rows <= 0) return false;
  return rule == PillowRule::from_13 ? shrink_rows > 2 * shrink_columns : g.height > 100 * g.width;
}

/// The last few axes with their tables. Validation images share sizes, and flips and crops of one
/// size repeat; a table costs a few microseconds, so a search through more would not pay.
template <class Table>
class AxisCache {
 public:
  struct Entry {
    AxisRequest request;
    AxisWeights axis;
    Table table;
  };

  template <class Build>
  const Entry& get(const AxisRequest& request, Build build) {
    for (const Entry& entry : entries_) {
      if (entry.request == request) return entry;
    }
    Entry& entry = entries_[next_];
    next_ = (next_ + 1) % entries_.size();
    entry.request = {};
    compute_weights(request, entry.axis);
    build(entry.axis, entry.table);
    entry.request = request;
    return entry;
  }

  std::size_t held() const noexcept {
    std::size_t bytes = 0;
    for (const Entry& entry : entries_) {
      bytes += sizeof(int) * (entry.axis.first.capacity() + entry.axis.taps.capacity() +
                              entry.axis.weights.capacity()) +
               sizeof(double) * entry.axis.exact.capacity() + table_bytes(entry.table);
    }
    return bytes;
  }

 private:
  static std::size_t table_bytes(const HorizontalTable& table) noexcept {
    return table.offsets.capacity() * sizeof(std::int32_t) +
           table.weights.capacity() * sizeof(std::int16_t);
  }
  static std::size_t table_bytes(const VerticalTable& table) noexcept {
    return table.words.capacity() * sizeof(std::int32_t);
  }

  std::array<Entry, Resampler::tables_kept> entries_{};
  std::size_t next_ = 0;
};

/// Room for `size` elements; old content is lost. Never two of them, nor more than was asked for.
template <class Vector>
void grow(Vector& v, std::size_t size) {
  if (v.size() >= size) return;
  v = Vector();
  v.resize(size);
}

std::size_t padded(std::size_t bytes) {
  return (bytes + kernel_slack - 1) / kernel_slack * kernel_slack;
}

/// The most bytes of one axis with its table: `pixels` outputs, `stretch` source pixels under each,
/// rounded down. Of a tap pair, 32 bytes in the kernel's order and 8 of weights, whose vector may
/// have room for twice as many; while a table is made anew, one of its vectors is there twice: 48 +
/// 8 is less than 64. The 8 pairs more stand for what a pixel takes besides.
std::size_t axis_bytes(std::size_t pixels, std::size_t reach, std::size_t stretch) {
  return 64 * (pixels + 64) * (reach * stretch + 8);
}

std::size_t reach_of(Interpolation filter) {
  return static_cast<std::size_t>(std::ceil(support(filter)));
}

std::size_t size(int side) { return static_cast<std::size_t>(std::max(side, 1)); }

/// How many source pixels lie between two of the output, rounded up.
std::size_t apart(int source, int resized) { return size(source) / size(resized) + 1; }

}  // namespace

struct Resampler::Impl {
  explicit Impl(PillowRule r) : rule(r), kernels(resample_kernels()) {}

  std::uint8_t* ring_row(int row) {
    return ring.data() + static_cast<std::size_t>(row & (rows->table.ring_rows - 1)) * ring_stride;
  }

  const std::uint8_t* emit(int y, int first, int taps) {
    if (taps == 0 || columns->axis.max_taps == 0) {
      std::memset(planar.data(), 0, 3 * columns->table.stride);
      return planar.data();
    }
    const std::uint8_t* row = ring_row(first);
    if (!copies_rows) row = blend(y, first, taps, vertical_first ? mixed.data() : planar.data());
    if (!vertical_first) return row;
    kernels.horizontal(columns->table, row, planar.data());
    return planar.data();
  }

  const std::uint8_t* blend(int y, int first, int taps, std::uint8_t* to) {
    const int pairs = rows->table.pairs;
    for (int tap = 0; tap < 2 * pairs; ++tap) {
      taps_rows[static_cast<std::size_t>(tap)] = ring_row(first + std::min(tap, taps - 1));
    }
    kernels.vertical(rows->table, taps_rows.data(), rows->table.of(y), row_bytes, to);
    return to;
  }

  PillowRule rule;
  const ResampleKernels& kernels;
  AxisCache<HorizontalTable> column_cache;
  AxisCache<VerticalTable> row_cache;
  const AxisCache<HorizontalTable>::Entry* columns = nullptr;
  const AxisCache<VerticalTable>::Entry* rows = nullptr;

  bool vertical_first = false;
  bool copies_rows = false;   ///< the height stays: the vertical pass is skipped
  std::size_t row_bytes = 0;  ///< of a row in the ring
  std::size_t ring_stride = 0;
  int pushed = 0;
  int next = 0;
  AlignedVector<std::uint8_t> ring;
  AlignedVector<std::uint8_t> mixed;   ///< vertical first: the one row between the passes
  AlignedVector<std::uint8_t> planar;  ///< the row that next_row() gives, unless it is the ring's
  AlignedVector<const std::uint8_t*> taps_rows;
};

Resampler::Resampler(PillowRule rule) : impl_(std::make_unique<Impl>(rule)) {}
Resampler::~Resampler() = default;

decode::Region Resampler::begin(const Geometry& g) {
  Impl& s = *impl_;
  s.columns = &s.column_cache.get({g.width, g.resized_width, g.window_left, g.out_width, g.hflip,
                                   g.mirrored_source, g.interpolation},
                                  [&](const AxisWeights& axis, HorizontalTable& table) {
                                    build_horizontal(axis, s.kernels.lanes, table);
                                  });
  s.rows = &s.row_cache.get(
      {g.height, g.resized_height, g.window_top, g.out_height, false, false, g.interpolation},
      [](const AxisWeights& axis, VerticalTable& table) { build_vertical(axis, table); });
  s.vertical_first = runs_vertical_first(g, s.rule);
  s.copies_rows = g.height == g.resized_height;

  const AxisWeights& columns = s.columns->axis;
  const AxisWeights& rows = s.rows->axis;
  const std::size_t planar_bytes = 3 * s.columns->table.stride;
  s.row_bytes =
      s.vertical_first ? static_cast<std::size_t>(columns.source_count) * 3 : planar_bytes;
  s.ring_stride = padded(s.row_bytes);
  grow(s.ring, s.ring_stride * static_cast<std::size_t>(s.rows->table.ring_rows) + kernel_slack);
  grow(s.planar, planar_bytes + 2 * kernel_slack);
  if (s.vertical_first) grow(s.mixed, s.ring_stride + kernel_slack);
  grow(s.taps_rows, static_cast<std::size_t>(s.rows->table.pairs) * 2);

  s.pushed = 0;
  s.next = 0;
  if (columns.source_count == 0 || rows.source_count == 0) {
    s.pushed = rows.source_count;
    return {};
  }
  return {g.top + rows.source_begin, g.left + columns.source_begin, rows.source_count,
          columns.source_count};
}

void Resampler::push_row(const std::uint8_t* rgb) {
  Impl& s = *impl_;
  std::uint8_t* row = s.ring_row(s.pushed);
  if (s.vertical_first) {
    std::memcpy(row, rgb, s.row_bytes);
  } else {
    s.kernels.horizontal(s.columns->table, rgb, row);
  }
  ++s.pushed;
}

const std::uint8_t* Resampler::next_row() {
  Impl& s = *impl_;
  const AxisWeights& axis = s.rows->axis;
  const auto at = static_cast<std::size_t>(s.next);
  if (at == axis.first.size() || axis.first[at] + axis.taps[at] > s.pushed) return nullptr;
  return s.emit(s.next++, axis.first[at], axis.taps[at]);
}

std::size_t Resampler::table_need(const Geometry& g) noexcept {
  const std::size_t reach = reach_of(g.interpolation);
  return axis_bytes(size(g.out_height), reach, apart(g.height, g.resized_height)) +
         axis_bytes(size(g.out_width), reach, apart(g.width, g.resized_width));
}

std::size_t Resampler::need(const Geometry& g) const noexcept {
  const std::size_t reach = reach_of(g.interpolation);
  const std::size_t rows_apart = apart(g.height, g.resized_height);
  const std::size_t planar_bytes = 3 * plane_stride(g.out_width);
  const std::size_t row_bytes =
      runs_vertical_first(g, impl_->rule) ? 3 * size(g.width) : planar_bytes;
  // A power of two that holds the rows under an output pixel, and those up to the next.
  const std::size_t ring_rows =
      std::min(4 * (reach * rows_apart + 1), std::bit_ceil(size(g.height)));
  return table_need(g) + padded(row_bytes) * (ring_rows + 1) + planar_bytes +
         std::min(size(g.height) + 4, 2 * reach * rows_apart + 4) * sizeof(void*) + 1024;
}

std::size_t Resampler::held() const noexcept {
  const Impl& s = *impl_;
  return s.column_cache.held() + s.row_cache.held() + s.ring.capacity() + s.mixed.capacity() +
         s.planar.capacity() + s.taps_rows.capacity() * sizeof(void*);
}

void Resampler::release() {
  Impl& s = *impl_;
  s.column_cache = {};
  s.row_cache = {};
  s.ring = AlignedVector<std::uint8_t>();
  s.mixed = AlignedVector<std::uint8_t>();
  s.planar = AlignedVector<std::uint8_t>();
  s.taps_rows = AlignedVector<const std::uint8_t*>();
}

std::size_t Resampler::most_need(const TransformPlan& plan, std::uint64_t max_pixels) noexcept {
  const Size out = head_size(plan);
  if (out.height == 0) return 0;
  const auto out_height = static_cast<std::size_t>(out.height);
  const auto out_width = static_cast<std::size_t>(out.width);
  // What the longest side is resized to, at the least: Resize may make it shorter than the crop,
  // and without one it stays.
  std::size_t least_height = out_height, least_width = out_width;
  bool has_max_size = false;
  Interpolation widest = plan.interpolation;
  const auto resize = [&](const auto& step) {
    const auto least = [&](int exact) {
      return step.resize > 0 ? static_cast<std::size_t>(step.resize)
             : exact > 0     ? static_cast<std::size_t>(exact)
                             : decode::max_side;
    };
    least_height = least(step.resize_height);
    least_width = least(step.resize_width);
    has_max_size = step.max_size > 0;
  };
  if (const auto* crop = std::get_if<RandomResizedCrop>(&plan.geometry)) {
    for (const Interpolation one : crop->interpolations) {
      if (support(one) > support(widest)) widest = one;
    }
  } else if (const auto* center = std::get_if<ResizeCenterCrop>(&plan.geometry)) {
    resize(*center);
  } else if (const auto* random = std::get_if<ResizeRandomCrop>(&plan.geometry)) {
    resize(*random);
  }
  const std::size_t reach = reach_of(widest);
  const std::size_t pixels = std::min<std::size_t>(max_pixels, decode::max_side * decode::max_side);
  // Not both sides are the longest: what two axes take is most where one of them is. Of what
  // max_size cuts short, the shorter side is made less by the same factor, and rounded down.
  const std::size_t longest = std::min(decode::max_side, pixels);
  const std::size_t other = has_max_size ? 2 * longest : pixels / longest;
  const auto tables = [&](std::size_t height, std::size_t width) {
    return axis_bytes(out_height, reach, height / least_height + 1) +
           axis_bytes(out_width, reach, width / least_width + 1);
  };
  // A ring of at most twice the rows under one output pixel: resized rows, or source rows where the
  // vertical pass comes first.
  const std::size_t ring_rows = 4 * (reach * decode::max_side / least_height + 4);
  const std::size_t ring = 3 * std::max(ring_rows * (out_width + 64),
                                        4 * (reach * pixels / least_height + 4 * decode::max_side));
  // The row between the passes, the row that next_row() gives, and the rows under its taps.
  const std::size_t rows =
      3 * (decode::max_side + out_width) +
      std::min(decode::max_side, 2 * reach * decode::max_side / least_height + 4) * sizeof(void*);
  return std::max(tables(longest, other), tables(other, longest)) + ring + rows + 1024;
}

std::size_t Resampler::most_need(std::size_t max_bytes, std::size_t max_side) noexcept {
  const std::size_t reach = reach_of(Interpolation::lanczos);
  // All that are kept, of an axis; pixels whose taps are at most twice the reach of a source pixel,
  // and two.
  const std::size_t tables = tables_kept * 64 * (reach * max_side + (8 + reach) * (max_side + 64));
  // The ring has at most twice the rows of the source.
  const std::size_t ring = 2 * max_bytes + 2 * max_side * kernel_slack;
  return 2 * tables + ring + 6 * max_side + 2 * max_side * sizeof(void*) + 1024;
}

std::size_t Resampler::fixed_bytes() noexcept { return sizeof(Impl); }

}  // namespace ringfeed::resize
