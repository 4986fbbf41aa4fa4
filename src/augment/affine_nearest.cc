#include <algorithm>
#include <cmath>
#include <limits>

#include "augment/affine_job.h"

namespace ringfeed::augment {
namespace {

/// A C cast on x86, whose result for what does not fit Pillow relies on.
std::int32_t to_int(double value) {
  constexpr double limit = 2147483648.0;
  return value > -limit - 1 && value < limit ? static_cast<std::int32_t>(value)
                                             : std::numeric_limits<std::int32_t>::min();
}

constexpr std::uint32_t outside = std::numeric_limits<std::uint32_t>::max();

/// The whole coordinate, or `outside`.
std::uint32_t whole(double coordinate, int limit) {
  const std::int32_t place = coordinate < 0 ? -1 : to_int(coordinate);
  return place >= 0 && place < limit ? static_cast<std::uint32_t>(place) : outside;
}

void copy_row(const AffineJob& job, int y) {
  job.kernels.copy(job.row, 0, job.width, job.to.row(y));
}

/// Whether the columns hold x + left for each x where that is inside.
bool is_run(const AffineJob& job, std::int64_t left) {
  for (std::int64_t x = 0; x < job.width; ++x) {
    const std::int64_t place = x + left;
    const bool inside = place >= 0 && place < job.width;
    if (job.scratch.column_x[x] != (inside ? static_cast<std::uint32_t>(place) : outside)) {
      return false;
    }
  }
  return true;
}

/// Without rotation and shear the places are steps added up, with their rounding errors.
void scale(AffineJob& job) {
  double x_in = job.c + job.a * 0.5;
  double y_in = job.f + job.e * 0.5;
  const double left = std::floor(x_in);
  for (int x = 0; x < job.width; ++x, x_in += job.a) {
    job.scratch.column_x[x] = whole(x_in, job.width);
  }
  const bool run = std::fabs(left) < job.width && is_run(job, static_cast<std::int64_t>(left));
  if (!run) {
    std::fill_n(job.scratch.column_y, job.width, 0u);
    job.copy_source();
  }
  for (int y = 0; y < job.height; ++y, y_in += job.e) {
    const std::uint32_t line = whole(y_in, job.height);
    if (run) {
      job.run_row(y, static_cast<std::int64_t>(left), line);
    } else {
      job.row.row_y = line;
      copy_row(job, y);
    }
  }
}

bool fits_fixed_point(const AffineJob& job) {
  const auto fits = [&](int x, int y) {
    return std::fabs(x * job.a + y * job.b + job.c) < 32768.0 &&
           std::fabs(x * job.d + y * job.e + job.f) < 32768.0;
  };
  return fits(0, 0) && fits(job.width, job.height) && fits(0, job.height) && fits(job.width, 0);
}

/// 16.16 fixed point.
void fixed_steps(AffineJob& job) {
  const auto fixed = [](double value) {
    const double scaled = value * 65536.0 + 0.5;
    return static_cast<std::uint32_t>(to_int(scaled < 0 ? std::floor(scaled) : scaled));
  };
  const std::uint32_t step_x = fixed(job.a);
  const std::uint32_t step_y = fixed(job.d);
  const bool run = step_x == 65536 && step_y == 0;
  if (!run) {
    for (std::uint32_t x = 0; x < static_cast<std::uint32_t>(job.width); ++x) {
      job.scratch.column_x[x] = x * step_x;
      job.scratch.column_y[x] = x * step_y;
    }
    job.copy_source();
  }
  AffineRow& row = job.row;
  row.shift = 16;
  // What is at least this is negative.
  constexpr int negative = 32768;
  row.limit_x = static_cast<std::uint32_t>(std::min(job.width, negative));
  row.limit_y = static_cast<std::uint32_t>(std::min(job.height, negative));
  row.row_x = fixed(job.c + job.a * 0.5 + job.b * 0.5);
  row.row_y = fixed(job.f + job.d * 0.5 + job.e * 0.5);
  const std::uint32_t line_x = fixed(job.b);
  const std::uint32_t line_y = fixed(job.e);
  for (int y = 0; y < job.height; ++y, row.row_x += line_x, row.row_y += line_y) {
    if (run) {
      job.run_row(y, static_cast<std::int32_t>(row.row_x) >> 16,
                  static_cast<std::int32_t>(row.row_y) >> 16);
    } else {
      copy_row(job, y);
    }
  }
}

/// Places too far away for fixed point.
void floating_steps(AffineJob& job) {
  job.copy_source();
  double start_x = job.c + job.b * 0.5 + job.a * 0.5;
  double start_y = job.f + job.e * 0.5 + job.d * 0.5;
  for (int y = 0; y < job.height; ++y, start_x += job.b, start_y += job.e) {
    double x_in = start_x;
    double y_in = start_y;
    for (int x = 0; x < job.width; ++x, x_in += job.a, y_in += job.d) {
      job.scratch.column_x[x] = whole(x_in, job.width);
      job.scratch.column_y[x] = whole(y_in, job.height);
    }
    copy_row(job, y);
  }
}

}  // namespace

void affine_nearest(AffineJob job) {
  AffineRow& row = job.row;
  row.pixels = job.scratch.pixel(0, 0);
  row.limit_x = static_cast<std::uint32_t>(job.width);
  row.limit_y = static_cast<std::uint32_t>(job.height);
  row.outside = static_cast<std::uint32_t>(job.scratch.outside - row.pixels);
  if (job.b == 0 && job.d == 0) {
    scale(job);
  } else if (fits_fixed_point(job)) {
    fixed_steps(job);
  } else {
    floating_steps(job);
  }
}

}  // namespace ringfeed::augment
