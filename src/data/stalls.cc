#include "data/stalls.h"

#include <algorithm>
#include <cstddef>

namespace ringfeed::data {

void Stalls::begin(const std::string& path, Time now) { listing_[path] = now; }

void Stalls::end(const std::string& path) { listing_.erase(path); }

std::optional<std::string> Stalls::report(Time now) {
  constexpr std::size_t most_named = 10;
  const auto longest = [&] {
    Time oldest = now;
    for (const auto& [path, since] : listing_) oldest = std::min(oldest, since);
    return now - oldest;
  }();
  if (longest < next_) return std::nullopt;
  std::string names;
  std::size_t count = 0;
  for (const auto& [path, since] : listing_) {
    if (now - since < first_report || count++ >= most_named) continue;
    names += (names.empty() ? "" : ", ") + (path.empty() ? std::string("the folder itself") : path);
  }
  if (count > most_named) names += " and " + std::to_string(count - most_named) + " more";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(longest).count();
  while (next_ <= longest) next_ *= 2;
  return "no answer from the file system for " + std::to_string(seconds) + " s for " + names;
}

}  // namespace ringfeed::data
