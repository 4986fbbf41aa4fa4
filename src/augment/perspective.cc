#include <cmath>

#include "augment/affine_job.h"

namespace ringfeed::augment {
namespace {

bool is_identity(const AffineJob& job) {
  return job.a == 1 && job.b == 0 && job.c == 0 && job.d == 0 && job.e == 1 && job.f == 0 &&
         job.g == 0 && job.h == 0;
}

PerspectiveRow whole_places(const AffineJob& job) {
  return {.values = {job.a, job.b, job.c, job.d, job.e, job.f, job.g, job.h},
          .y = 0,
          .limit_x = static_cast<double>(job.width),
          .limit_y = static_cast<double>(job.height),
          .unit = 1,
          .offset = 0,
          .outside = -1,
          .flip = 0};
}

/// Half a pixel less and the border more, in all the 32 bits of an unsigned number.
PerspectiveRow fixed_places(const AffineJob& job) {
  PerspectiveRow row = whole_places(job);
  row.unit = std::ldexp(1.0, job.row.shift);
  row.offset = (affine_border - 0.5) * row.unit - 0x1p31;
  row.outside = 0x1p31 - 1;
  row.flip = 0x80000000;
  return row;
}

void nearest(AffineJob& job) {
  AffineRow& row = job.row;
  row.pixels = job.scratch.pixel(0, 0);
  row.limit_x = static_cast<std::uint32_t>(job.width);
  row.limit_y = static_cast<std::uint32_t>(job.height);
  row.outside = static_cast<std::uint32_t>(job.scratch.outside - row.pixels);
  PerspectiveRow places = whole_places(job);
  for (; places.y < job.height; ++places.y) {
    // NaN is outside.
    job.kernels.perspective_places(places, job.width, job.scratch.column_x, job.scratch.column_y);
    job.kernels.copy(row, 0, job.width, job.to.row(places.y));
  }
}

/// The pixels of a row, whose places the columns hold.
void filter_row(const AffineJob& job, bool linear, int y) {
  const auto run_end = [&](int x, bool outside) {
    while (x < job.width && (job.scratch.column_x[x] == outside_place) == outside) ++x;
    return x;
  };
  for (int x = 0; x < job.width;) {
    const int begin = run_end(x, true);
    job.fill_row(y, x, begin);
    x = run_end(begin, false);
    job.filter_pixels(linear, y, begin, x);
  }
}

void filter(AffineJob& job, bool linear) {
  job.prepare_filter(linear);
  PerspectiveRow places = fixed_places(job);
  for (; places.y < job.height; ++places.y) {
    const bool numbers = job.kernels.perspective_places(places, job.width, job.scratch.column_x,
                                                        job.scratch.column_y);
    if (numbers && job.fits_fixed_point()) {
      filter_row(job, linear, places.y);
    } else {
      job.exact_row(linear, places.y);
    }
  }
}

}  // namespace

void perspective(AffineJob job, Interpolation interpolation) {
  if (is_identity(job)) {
    for (int y = 0; y < job.height; ++y) job.run_row(y, 0, y);
    return;
  }
  job.copy_source();
  if (interpolation == Interpolation::nearest) {
    nearest(job);
  } else {
    filter(job, interpolation == Interpolation::bilinear);
  }
}

}  // namespace ringfeed::augment
