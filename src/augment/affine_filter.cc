#include <algorithm>
#include <cmath>

#include "augment/affine_job.h"

namespace ringfeed::augment {
namespace {

struct Range {
  int begin, end;
};

/// Narrows the range to the x whose scale * (x + 0.5) + row + shift lies in [0, limit). That sum is
/// monotonic in x, rounding included: from a guess it takes steps to the exact edges.
Range narrowed(Range range, double scale, double row, double shift, int limit) {
  const auto at = [&](int x) { return scale * (x + 0.5) + row + shift; };
  // The first x from which on `holds` is true.
  const auto first = [&](double level, const auto& holds) {
    const double guess = (level - row - shift) / scale - 0.5;
    int x = guess > range.begin ? (guess < range.end ? static_cast<int>(guess) : range.end)
                                : range.begin;
    while (x > range.begin && holds(at(x - 1))) --x;
    while (x < range.end && !holds(at(x))) ++x;
    return x;
  };
  if (scale > 0) {
    return {first(0, [](double v) { return v >= 0; }),
            first(limit, [&](double v) { return v >= limit; })};
  }
  if (scale < 0) {
    return {first(limit, [&](double v) { return v < limit; }),
            first(0, [](double v) { return v < 0; })};
  }
  const double v = at(0);
  return v >= 0 && v < limit ? range : Range{range.begin, range.begin};
}

/// The pixels of row y whose place is inside.
Range inside(const AffineJob& job, int y) {
  const double line = y + 0.5;
  const Range range = narrowed({0, job.width}, job.a, job.b * line, job.c, job.width);
  return narrowed(range, job.d, job.e * line, job.f, job.height);
}

/// Places in fixed point, half a pixel less and the border more. They differ from those in double
/// by less than two units. Where a coordinate depends on the column or the row alone, the other's
/// part is 0, and a whole number exact.
class FixedPlaces {
 public:
  explicit FixedPlaces(AffineJob& job) : job_(job), unit_(std::ldexp(1.0, job.row.shift)) {
    for (int x = 0; x < job.width; ++x) {
      const auto [x_in, y_in] = job.place(x, 0);
      const double column = x + 0.5;
      job.scratch.column_x[x] = fixed(job.b == 0 ? from_border(x_in) : job.a * column);
      job.scratch.column_y[x] = fixed(job.e == 0 ? from_border(y_in) : job.d * column);
      whole_x_ = whole_x_ && is_whole(x_in - 0.5);
      whole_y_ = whole_y_ && is_whole(y_in - 0.5);
    }
    whole_x_ = whole_x_ && job.b == 0;
    whole_y_ = whole_y_ && job.e == 0;
  }

  void set_row(int y) {
    const double line = y + 0.5;
    const double x_in = job_.b * line + job_.c;
    const double y_in = job_.e * line + job_.f;
    AffineRow& row = job_.row;
    row.row_x = job_.b == 0 ? 0 : fixed(from_border(x_in));
    row.row_y = job_.e == 0 ? 0 : fixed(from_border(y_in));
    row.whole_x = whole_x_ || (job_.a == 0 && is_whole(x_in - 0.5));
    row.whole_y = whole_y_ || (job_.d == 0 && is_whole(y_in - 0.5));
  }

 private:
  static bool is_whole(double value) { return value == std::floor(value); }
  static double from_border(double place) { return place - 0.5 + affine_border; }
  std::uint32_t fixed(double value) const {
    return static_cast<std::uint32_t>(static_cast<std::int64_t>(value * unit_));
  }

  AffineJob& job_;
  double unit_;
  bool whole_x_ = true, whole_y_ = true;
};

/// Whether sums of the numbers are exact to 2^-30 of a pixel, and all places fit fixed point.
bool fits_fixed_point(const AffineJob& job) {
  const double size = std::max(job.width, job.height) + 1;
  const double reach =
      (std::fabs(job.a) + std::fabs(job.b) + std::fabs(job.d) + std::fabs(job.e)) * size +
      std::fabs(job.c) + std::fabs(job.f);
  return job.fits_fixed_point() && reach <= 1 << 20;
}

/// A shift by whole pixels.
bool is_run(const AffineJob& job) {
  return job.a == 1 && job.b == 0 && job.c == std::floor(job.c) && job.d == 0 && job.e == 1 &&
         job.f == std::floor(job.f);
}

}  // namespace

void affine_filter(AffineJob job, Interpolation interpolation) {
  const bool linear = interpolation == Interpolation::bilinear;
  const bool fits = fits_fixed_point(job);
  if (fits && is_run(job)) {
    for (int y = 0; y < job.height; ++y) {
      job.run_row(y, static_cast<std::int64_t>(job.c), y + static_cast<std::int64_t>(job.f));
    }
    return;
  }
  job.copy_source();
  if (!fits) {
    for (int y = 0; y < job.height; ++y) job.exact_row(linear, y);
    return;
  }
  job.prepare_filter(linear);
  AffineRow& row = job.row;
  FixedPlaces places(job);
  for (int y = 0; y < job.height; ++y) {
    const auto [begin, end] = inside(job, y);
    job.fill_row(y, 0, begin);
    job.fill_row(y, end, job.width);
    places.set_row(y);
    if (row.whole_x && row.whole_y) {
      job.kernels.copy(row, begin, end, job.to.row(y));
    } else {
      job.filter_pixels(linear, y, begin, end);
    }
  }
}

}  // namespace ringfeed::augment
