#pragma once

#include <functional>
#include <string>
#include <thread>

namespace ringfeed {

/// Starts a named thread with every signal blocked: signals are the application's business.
/// Throws std::system_error (EAGAIN) where no more threads may be had.
std::thread start_thread(const std::string& name, std::function<void()> body);

}  // namespace ringfeed
