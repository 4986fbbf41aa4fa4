#include "ringfeed/version.h"

namespace ringfeed {

std::string_view version() noexcept { return RINGFEED_VERSION; }

}  // namespace ringfeed
