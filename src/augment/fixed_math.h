#pragma once

namespace ringfeed::augment {

/// exp and log from additions, multiplications, divisions and exact scaling alone: every machine
/// returns the same bits. libm's differ in the last bit with and without FMA, which the same
/// binary selects at run time. Within 2 ulp of the true value for finite arguments; `log_fixed`
/// wants x > 0 and normal.
double exp_fixed(double x) noexcept;
double log_fixed(double x) noexcept;

}  // namespace ringfeed::augment
