#pragma once

#include <functional>
#include <string>

namespace ringfeed::testing {

/// Calls `body` once per instruction set this machine can run, with dispatch limited to it.
void for_each_target(const std::function<void(const std::string& name)>& body);

}  // namespace ringfeed::testing
