#pragma once

#include <cerrno>

namespace ringfeed {

/// The result of a system call that a signal may interrupt: it is made again until none does.
template <class Call>
auto retry_interrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace ringfeed
