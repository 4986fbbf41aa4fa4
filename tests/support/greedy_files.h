#pragma once

#include <vector>

#include "ringfeed/transform.h"
#include "support/encode.h"

namespace ringfeed::testing {

/// A JPEG whose frame header claims another size, and sampling factors of all components, than its
/// few coded pixels have.
Octets claiming(Octets jpeg, int height, int width, int sampling = 0);

/// Files that make libjpeg hold much: wide ones, tall ones, all sampling factors, whole images of
/// coefficients. Where `wanted` is false the pixels would only take time.
struct GreedyJpeg {
  Octets file;
  bool wanted = true;
};
std::vector<GreedyJpeg> greedy_jpegs();

/// PNGs that take all that just_enough_for_pngs() allows: a wide one, whose row stays, then whole
/// images.
std::vector<Octets> greedy_pngs();
DecodeLimits just_enough_for_pngs();

}  // namespace ringfeed::testing
