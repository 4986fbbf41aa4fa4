#pragma once

#include <functional>
#include <string>
#include <system_error>
#include <thread>

#include "ringfeed/error.h"

namespace ringfeed {

/// Starts a named thread with every signal blocked: signals are the application's business.
/// Throws std::system_error (EAGAIN) where no more threads may be had.
std::thread start_thread(const std::string& name, std::function<void()> body);

/// What such an error, or one of a ring, says to a user; `lower`: the option that takes fewer
/// threads.
Error cannot_start(const std::system_error& error, Option lower = Option::num_workers);

}  // namespace ringfeed
