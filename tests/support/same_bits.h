#pragma once

#include <ATen/core/Tensor.h>

#include <cstring>

namespace ringfeed::testing {

/// Whether dtype, shape and every value's bits are the same, wherever the two are.
inline bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  if (a.scalar_type() != b.scalar_type() || a.sizes() != b.sizes()) return false;
  const at::Tensor x = a.cpu().contiguous(), y = b.cpu().contiguous();
  return std::memcmp(x.const_data_ptr(), y.const_data_ptr(), x.nbytes()) == 0;
}

}  // namespace ringfeed::testing
