#pragma once

namespace ringfeed::augment {

/// Trigonometry from additions, multiplications and divisions alone: every machine returns the same
/// bits. Computed with twice the digits and rounded once, so that the result is the double nearest
/// to the true value, but for one in some 2^40. |x| <= 1e6 for the first three.
double sin_fixed(double x) noexcept;
double cos_fixed(double x) noexcept;
double tan_fixed(double x) noexcept;
double atan_fixed(double x) noexcept;

/// Python's math.radians and math.degrees.
double radians(double degrees) noexcept;
double degrees(double radians) noexcept;

/// Python's round(x, 15), for |x| <= 1.
double round_15_digits(double x) noexcept;

}  // namespace ringfeed::augment
