#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

namespace ringfeed::data {

/// Which directories are being listed, and when to say that they do not answer: after 10 s, then
/// each time that the longest wait has doubled. One thread at a time.
class Stalls {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::seconds first_report{10};

  void begin(const std::string& path, Time now);
  void end(const std::string& path);
  /// What there is to say, if it is time to: at most ten of them, and how many there are.
  std::optional<std::string> report(Time now);

 private:
  std::map<std::string, Time> listing_;
  std::chrono::seconds next_ = first_report;
};

}  // namespace ringfeed::data
